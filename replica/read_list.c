/* Reads of many nodes: lists of children and ephemerals, counts, multiRead.
 * Short ones are answered at once; long ones are a job: while it runs the tree
 * stands still, and one slice looks at so many nodes. */
#include "base/bytes.h"
#include "base/check.h"
#include "proto/jute.h"
#include "replica/replica_internal.h"

/* Length, reply header and the end of a multi's answer. */
#define MULTI_AROUND ((size_t)(4 + ZK_REPLY_HEADER_SIZE + 9))
/* Nodes touched per unit of budget: about 100 ns each. */
#define NAMES_PER_UNIT 2

static enum zk_code find_readable(const struct replica *r,
                                  const struct conn *conn, struct slice path,
                                  const struct znode **node);
static void fill_names(struct replica *r, const struct znode *node,
                       struct zk_strings_response *list);
static bool all_prefixes(struct slice prefix);
static bool names_some(struct replica *r, struct job *job, size_t max);
static bool ephemerals_some(struct replica *r, struct job *job, size_t max);
static void append_name(struct replica *r, struct job *job, struct slice name);
static void part_append(struct replica *r, struct job *job,
                        const struct client_request *op);
static void part_run(struct replica *r, const struct conn *conn,
                     const struct client_request *op,
                     struct client_reply *part);

enum read_status read_names(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply)
{
    struct slice path = request->path_watch.path;
    const struct znode *node;
    struct zk_strings_response list;

    reply->code = find_readable(r, conn, path, &node);
    if (reply->code != ZK_OK) {
        return READ_ANSWER;
    }
    if (znode_children_count(node) > names_at_once(r)) {
        return READ_LONG;
    }
    if (request->path_watch.watch) {
        watch_add(r->watches, WATCH_CHILD, path, conn_id(conn));
    }
    fill_names(r, node, &list);
    if (request->op == ZK_OP_GET_CHILDREN) {
        reply->names = list;
    } else {
        reply->children2.names = list.names;
        reply->children2.names_count = list.names_count;
        znode_stat(node, &reply->children2.stat);
    }
    return READ_ANSWER;
}

enum read_status read_ephemerals(struct replica *r, struct conn *conn,
                                 const struct client_request *request,
                                 struct client_reply *reply)
{
    struct slice prefix = request->path.path;
    size_t count = tree_ephemeral_count(r->tree, conn->session_id);
    const struct znode *node = NULL;
    struct slice *paths;
    bool all = all_prefixes(prefix);

    if (count > nodes_per_slice(r)) {
        return READ_LONG;
    }
    paths = ARENA_NEW(r->arena, struct slice, count + 1);
    reply->names.names = paths;
    reply->names.names_count = 0;
    while ((node = tree_ephemeral_next(r->tree, conn->session_id, node)) !=
           NULL) {
        struct slice path = znode_path(node, r->arena);

        if (all || slice_starts_with(path, prefix)) {
            paths[reply->names.names_count++] = path;
        }
    }
    return READ_ANSWER;
}

enum read_status read_count(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply)
{
    const struct znode *root, *node;
    size_t count = 0;

    reply->code = find_readable(r, conn, request->path.path, &root);
    if (reply->code != ZK_OK) {
        return READ_ANSWER;
    }
    if (znode_parent(root) == NULL) {
        /* Without the root, which is counted twice. */
        reply->value.value = (int32_t)(tree_count(r->tree) - 2);
        return READ_ANSWER;
    }
    node = root;
    while ((node = znode_walk_next(root, node)) != NULL) {
        if (++count > nodes_per_slice(r)) {
            return READ_LONG;
        }
    }
    reply->value.value = (int32_t)count;
    return READ_ANSWER;
}

enum read_status read_multi(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply)
{
    size_t count = request->multi.count;
    struct client_reply *parts;
    size_t names = 0;

    for (size_t i = 0; i < count; i++) {
        const struct client_request *op = &request->multi.ops[i];
        const struct znode *node;

        if (op->op == ZK_OP_GET_CHILDREN &&
            read_find(r, op->path_watch.path, &node) == ZK_OK) {
            names += znode_children_count(node);
        }
        if (i + 1 > nodes_per_slice(r) || names > names_at_once(r)) {
            return READ_LONG;
        }
    }
    parts = ARENA_NEW(r->arena, struct client_reply, count + 1);
    for (size_t i = 0; i < count; i++) {
        part_run(r, conn, &request->multi.ops[i], &parts[i]);
    }
    reply->multi.parts = parts;
    reply->multi.count = count;
    return READ_ANSWER;
}

bool read_list_slice(struct replica *r, struct job *job)
{
    if (job->type == JOB_NAMES) {
        return names_some(r, job, names_per_slice(r));
    }
    return ephemerals_some(r, job, names_per_slice(r));
}

bool read_count_slice(struct replica *r, struct job *job)
{
    (void)r;
    for (size_t i = 0; i < names_per_slice(r); i++) {
        job->at = znode_walk_next(job->root, job->at);
        if (job->at == NULL) {
            return true;
        }
        job->count++;
    }
    return false;
}

/* Part after part; a long list among them over several slices. */
bool read_multi_slice(struct replica *r, struct job *job)
{
    for (size_t i = 0; i < nodes_per_slice(r); i++) {
        if (job->root != NULL) {
            if (!names_some(r, job, names_per_slice(r))) {
                return false;
            }
            job->root = NULL;
        } else if (job->index < job->request.multi.count) {
            part_append(r, job, &job->request.multi.ops[job->index++]);
        } else {
            return true;
        }
        if (job->bytes.len > r->config.reply_size_max) {
            job->failed = true;
        }
        if (job->failed) {
            return true;
        }
    }
    return false;
}

static enum zk_code find_readable(const struct replica *r,
                                  const struct conn *conn, struct slice path,
                                  const struct znode **node)
{
    enum zk_code code = read_find(r, path, node);

    if (code == ZK_OK &&
        !read_allowed(r, conn, znode_acl_id(*node), ZK_PERM_READ)) {
        return ZK_NO_AUTH;
    }
    return code;
}

static void fill_names(struct replica *r, const struct znode *node,
                       struct zk_strings_response *list)
{
    size_t count = znode_children_count(node);
    struct slice *names = ARENA_NEW(r->arena, struct slice, count + 1);
    const struct znode *child = NULL;
    size_t at = 0;

    while ((child = znode_child_next(node, child)) != NULL) {
        names[at++] = znode_name(child);
    }
    CHECK(at == count);
    list->names = names;
    list->names_count = count;
    r->budget -= (int)(count / NAMES_PER_UNIT);
}

/* ZooKeeper's getEphemerals takes none, blanks and "/" for all. */
static bool all_prefixes(struct slice prefix)
{
    size_t from = 0, to = prefix.len;

    while (from < to && prefix.ptr[from] <= ' ') {
        from++;
    }
    while (to > from && prefix.ptr[to - 1] <= ' ') {
        to--;
    }
    return from == to || (to - from == 1 && prefix.ptr[from] == '/');
}

static void part_run(struct replica *r, const struct conn *conn,
                     const struct client_request *op, struct client_reply *part)
{
    const struct znode *node;

    *part = (struct client_reply){.op = op->op};
    part->code = find_readable(r, conn, op->path_watch.path, &node);
    if (part->code != ZK_OK) {
        return;
    }
    if (op->op == ZK_OP_GET_DATA) {
        part->data.data = znode_data(node);
        znode_stat(node, &part->data.stat);
    } else {
        fill_names(r, node, &part->names);
    }
}

/* Appends at most max children of job->root; true: that was all of them, or
 * too much. */
static bool names_some(struct replica *r, struct job *job, size_t max)
{
    for (size_t i = 0; i < max && !job->failed; i++) {
        job->at = znode_child_next(job->root, job->at);
        if (job->at == NULL) {
            return true;
        }
        append_name(r, job, znode_name(job->at));
    }
    return job->failed;
}

static bool ephemerals_some(struct replica *r, struct job *job, size_t max)
{
    struct slice prefix = job->request.path.path;
    bool all = all_prefixes(prefix);

    for (size_t i = 0; i < max && !job->failed; i++) {
        struct slice path;

        job->at = tree_ephemeral_next(r->tree, job->conn->session_id, job->at);
        if (job->at == NULL) {
            return true;
        }
        path = znode_path(job->at, r->arena);
        if (all || slice_starts_with(path, prefix)) {
            append_name(r, job, path);
        }
    }
    return job->failed;
}

static void append_name(struct replica *r, struct job *job, struct slice name)
{
    struct jute_writer writer = {
        .at = buf_extend(&job->bytes, jute_size_bytes(name))};

    jute_write_bytes(&writer, name);
    job->count++;
    job->failed = job->bytes.len > r->config.reply_size_max;
}

/* A part's bytes behind those before it. A long list is only begun: its
 * children follow from job->root. */
static void part_append(struct replica *r, struct job *job,
                        const struct client_request *op)
{
    struct client_reply part;
    struct client_reply one = {.op = ZK_OP_MULTI_READ,
                               .multi = {.parts = &part, .count = 1}};
    const struct znode *node;
    struct jute_writer writer;
    uint8_t *packet;
    size_t size;

    if (op->op == ZK_OP_GET_CHILDREN &&
        find_readable(r, job->conn, op->path_watch.path, &node) == ZK_OK &&
        znode_children_count(node) > nodes_per_slice(r)) {
        writer.at = buf_extend(&job->bytes, 4 + 1 + 4 + 4);
        jute_write_int(&writer, ZK_OP_GET_CHILDREN);
        jute_write_bool(&writer, false);
        jute_write_int(&writer, ZK_OK);
        jute_write_int(&writer, (int32_t)znode_children_count(node));
        job->root = node;
        job->at = NULL;
        return;
    }
    part_run(r, job->conn, op, &part);
    size = client_reply_size(&one);
    if (job->bytes.len + size > r->config.reply_size_max) {
        job->failed = true;
        return;
    }
    packet = arena_alloc(r->arena, size, 1);
    client_reply_write(&one, packet);
    buf_append(&job->bytes, slice_make(packet + 4 + ZK_REPLY_HEADER_SIZE,
                                       size - MULTI_AROUND));
}
