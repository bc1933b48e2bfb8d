/* The packets that are neither request nor reply: the handshake and
 * notifications. */
#include "proto/client.h"

#include "base/check.h"
#include "proto/client_records.h"

#define LENGTH_SIZE 4
#define PASSWORD_SIZE 16

int client_connect_decode(struct slice frame, struct client_connect *connect)
{
    struct jute_reader reader;

    jute_reader_init(&reader, frame);
    decode_connect_request(&reader, NULL, &connect->request);
    connect->has_read_only = reader.left.len > 0;
    connect->read_only = connect->has_read_only && jute_read_bool(&reader);
    return reader.err;
}

void client_connect_encode_reply(const struct zk_connect_response *response,
                                 bool with_read_only, bool read_only,
                                 struct buf *out)
{
    size_t size = size_connect_response(response) + (with_read_only ? 1 : 0);
    struct jute_writer writer = {buf_extend(out, LENGTH_SIZE + size)};

    /* The C client reads its answer into 41 bytes. */
    CHECK(response->password.len == PASSWORD_SIZE);
    jute_write_int(&writer, (int32_t)size);
    write_connect_response(&writer, response);
    if (with_read_only) {
        jute_write_bool(&writer, read_only);
    }
    CHECK(writer.at == out->data + out->len);
}

void client_connect_encode(const struct client_connect *connect,
                           struct buf *out)
{
    size_t size = size_connect_request(&connect->request) +
                  (connect->has_read_only ? 1 : 0);
    struct jute_writer writer = {buf_extend(out, LENGTH_SIZE + size)};

    jute_write_int(&writer, (int32_t)size);
    write_connect_request(&writer, &connect->request);
    if (connect->has_read_only) {
        jute_write_bool(&writer, connect->read_only);
    }
    CHECK(writer.at == out->data + out->len);
}

int client_connect_decode_reply(struct slice frame,
                                struct zk_connect_response *response,
                                bool *read_only)
{
    struct jute_reader reader;

    jute_reader_init(&reader, frame);
    decode_connect_response(&reader, NULL, response);
    *read_only = reader.left.len > 0 && jute_read_bool(&reader);
    return reader.err;
}

size_t client_event_size(struct slice path)
{
    return LENGTH_SIZE + ZK_REPLY_HEADER_SIZE + SIZE_MIN(watcher_event) +
           path.len;
}

void client_event_write(enum zk_event_type type, zxid_t zxid, struct slice path,
                        uint8_t *to)
{
    struct jute_writer writer = {to + LENGTH_SIZE};
    struct zk_watcher_event event = {(int32_t)type, ZK_STATE_CONNECTED, path};

    bytes_store32(to, (uint32_t)(client_event_size(path) - LENGTH_SIZE));
    client_write_reply_header(&writer, ZK_XID_NOTIFICATION, zxid, ZK_OK);
    write_watcher_event(&writer, &event);
}

int client_event_decode(struct slice body, struct zk_watcher_event *event)
{
    struct jute_reader reader;

    jute_reader_init(&reader, body);
    decode_watcher_event(&reader, NULL, event);
    return reader.err;
}
