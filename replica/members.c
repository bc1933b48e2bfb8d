/* /zookeeper/config shows the membership. Whoever leads makes it say what its
 * own configuration says, by a transaction of the server's own: so it is
 * replicated, and its watches fire, like anything else. */
#include "base/check.h"
#include "replica/replica_internal.h"

static bool is_shown(const struct replica *r, struct slice path);

/* Once in a leadership: servers that are told different things, while their
 * files are being edited, do not answer one another. */
void members_show(struct replica *r)
{
    struct origin origin = {.id = r->self_id};
    struct client_request request = {.op = ZK_OP_SET_DATA};
    struct prep_context context;
    struct txn txn;
    enum zk_code code;
    size_t failed;

    request.set_data.path = SLICE_LITERAL("/zookeeper/config");
    request.set_data.data = r->config.members_text;
    request.set_data.version = -1;
    if (is_shown(r, request.set_data.path)) {
        return;
    }
    write_context(r, &origin, &context);
    context.skip_acl = true;
    code = prep_request(r->prep, &request, &context, r->arena, &txn, &failed);
    if (code == ZK_OK) {
        write_propose(r, &txn);
        return;
    }
    replica_log(r, REPLICA_WARN, "members_not_shown", "code=%d", (int)code);
}

static bool is_shown(const struct replica *r, struct slice path)
{
    const struct znode *node = tree_find(r->tree, path);

    return node == NULL ||
           slice_equal(znode_data(node), r->config.members_text);
}
