#include "proto/jute.h"

#include "base/err.h"

void jute_reader_init(struct jute_reader *reader, struct slice bytes)
{
    reader->left = bytes;
    reader->err = 0;
}

/* With nothing left every later read fails too, and gives a zero. */
void jute_reader_fail(struct jute_reader *reader)
{
    reader->left = slice_make(NULL, 0);
    reader->err = ERR_MALFORMED;
}

int32_t jute_read_count(struct jute_reader *reader, size_t element_size_min)
{
    int32_t count = jute_read_int(reader);

    if (count == JUTE_NULL) {
        return JUTE_NULL;
    }
    if (count < 0 || (size_t)count > reader->left.len / element_size_min) {
        jute_reader_fail(reader);
        return 0;
    }
    return count;
}

struct slice jute_read_bytes_empty(struct jute_reader *reader, int32_t len)
{
    if (len < JUTE_NULL) {
        jute_reader_fail(reader);
    }
    /* A length that could not be read is 0 as well. */
    if (len == 0 && reader->err == 0) {
        return slice_make(reader->left.ptr, 0);
    }
    return slice_make(NULL, 0);
}
