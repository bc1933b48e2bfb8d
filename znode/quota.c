#include "znode/quota.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "znode/quota_text.h"
#include "znode/tree_internal.h"

#define ROOT SLICE_LITERAL("/zookeeper")
#define QUOTA_ROOT SLICE_LITERAL("/zookeeper/quota")
#define LIMITS_END SLICE_LITERAL("/zookeeper_limits")
#define USAGE_END SLICE_LITERAL("/zookeeper_stats")

struct quota_account {
    struct map_link link; /* key: the path, behind the struct */
    struct znode *limits_node, *usage_node;
    struct quota_limits limits;
    int64_t count, bytes;
};

static bool is_system(struct slice path);
static struct slice target_of(struct slice path, const struct znode *node);
static struct quota_account *find(const struct quotas *quotas,
                                  struct slice path);
static struct quota_account *account_create(struct quotas *quotas,
                                            struct slice path);
static void start_counting(struct tree *tree, struct quota_account *account);
static void show_usage(struct tree *tree, struct quota_account *account);
static struct slice prefix_longest(const struct quotas *quotas,
                                   struct slice path);
static struct slice prefix_shorter(struct slice path);
static bool passed(int64_t used, int64_t change, int64_t limit);

void quotas_init(struct quotas *quotas, uint64_t hash_seed)
{
    *quotas = (struct quotas){0};
    map_init(&quotas->by_path, hash_seed);
}

void quotas_finish(struct quotas *quotas)
{
    struct map_link *link = map_first(&quotas->by_path);

    while (link != NULL) {
        struct map_link *next = map_next(&quotas->by_path, link);

        mem_free(MAP_ENTRY(link, struct quota_account, link));
        link = next;
    }
    map_finish(&quotas->by_path);
    *quotas = (struct quotas){0};
}

uint16_t quota_flags(struct slice path)
{
    uint16_t flag = 0;
    struct slice end;

    if (!slice_starts_with(path, QUOTA_ROOT)) {
        return 0;
    }
    path = slice_after(path, QUOTA_ROOT.len);
    if (slice_ends_with(path, LIMITS_END)) {
        flag = ZNODE_LIMITS;
        end = LIMITS_END;
    } else if (slice_ends_with(path, USAGE_END)) {
        flag = ZNODE_USAGE;
        end = USAGE_END;
    } else {
        return 0;
    }
    path.len -= end.len;
    return path.len == 0 || path.ptr[0] != '/' || is_system(path) ? 0 : flag;
}

void quota_node_added(struct tree *tree, struct znode *node, struct slice path)
{
    struct slice target = target_of(path, node);
    struct quota_account *account = find(&tree->quotas, target);

    if (account == NULL) {
        account = account_create(&tree->quotas, target);
        start_counting(tree, account);
    }
    if ((node->flags & ZNODE_LIMITS) != 0) {
        account->limits_node = node;
    } else {
        account->usage_node = node;
    }
    quota_node_changed(tree, node, path);
}

void quota_node_changed(struct tree *tree, struct znode *node,
                        struct slice path)
{
    struct quota_account *account = find(&tree->quotas, target_of(path, node));

    CHECK(account != NULL);
    if ((node->flags & ZNODE_LIMITS) != 0) {
        quota_limits_parse(znode_data(node), &account->limits);
    } else if (account != tree->quotas.counting) {
        show_usage(tree, account);
    }
}

void quota_node_removed(struct tree *tree, struct znode *node,
                        struct slice path)
{
    struct quota_account *account = find(&tree->quotas, target_of(path, node));

    CHECK(account != NULL);
    CHECK(account != tree->quotas.counting);
    if ((node->flags & ZNODE_LIMITS) != 0) {
        account->limits_node = NULL;
    } else {
        account->usage_node = NULL;
    }
    if (account->limits_node == NULL && account->usage_node == NULL) {
        map_remove(&tree->quotas.by_path, &account->link);
        mem_free(account);
    }
}

void quota_use(struct tree *tree, struct slice path, int64_t count_change,
               int64_t bytes_change)
{
    if (map_count(&tree->quotas.by_path) == 0 || is_system(path)) {
        return;
    }
    for (path = prefix_longest(&tree->quotas, path); path.len > 0;
         path = prefix_shorter(path)) {
        struct quota_account *account = find(&tree->quotas, path);

        if (account != NULL) {
            account->count += count_change;
            account->bytes += bytes_change;
            show_usage(tree, account);
        }
    }
}

void quota_count_some(struct tree *tree, size_t nodes_max)
{
    struct quotas *quotas = &tree->quotas;
    struct quota_account *account = quotas->counting;
    const struct znode *root = tree_find(tree, account->link.key.bytes);
    const struct znode *at = quotas->counting_at;

    for (size_t i = 0; i < nodes_max && at != NULL; i++) {
        account->count++;
        account->bytes += at->data_len;
        at = znode_walk_next(root, at);
    }
    quotas->counting_at = at;
    if (at == NULL) {
        quotas->counting = NULL;
        show_usage(tree, account);
    }
}

void quota_count_all(struct tree *tree)
{
    struct map *map = &tree->quotas.by_path;

    for (struct map_link *link = map_first(map); link != NULL;
         link = map_next(map, link)) {
        start_counting(tree, MAP_ENTRY(link, struct quota_account, link));
        quota_count_some(tree, SIZE_MAX);
    }
    CHECK(tree->quotas.counting == NULL);
}

enum zk_code tree_quota_check(const struct tree *tree, struct slice path,
                              int64_t count_change, int64_t bytes_change,
                              bool hard, struct slice *soft_path)
{
    const struct quota_account *account = NULL;
    const struct quota_limits *limits;
    bool over_soft;
    bool over_hard;

    *soft_path = (struct slice){NULL, 0};
    if (map_count(&tree->quotas.by_path) == 0 || is_system(path)) {
        return ZK_OK;
    }
    for (path = prefix_longest(&tree->quotas, path); path.len > 0;
         path = prefix_shorter(path)) {
        account = find(&tree->quotas, path);
        if (account != NULL && account->limits_node != NULL) {
            break;
        }
    }
    if (path.len == 0) {
        return ZK_OK;
    }
    /* The hard limit takes the soft one's place where it is set. */
    limits = &account->limits;
    over_hard = passed(account->count, count_change, limits->count_hard) ||
                passed(account->bytes, bytes_change, limits->bytes_hard);
    over_soft = (limits->count_hard < 0 &&
                 passed(account->count, count_change, limits->count_soft)) ||
                (limits->bytes_hard < 0 &&
                 passed(account->bytes, bytes_change, limits->bytes_soft));
    if (over_soft || over_hard) {
        *soft_path = path;
    }
    return over_hard && hard ? ZK_QUOTA_EXCEEDED : ZK_OK;
}

size_t tree_quotas_count(const struct tree *tree)
{
    return map_count(&tree->quotas.by_path);
}

bool tree_quota_next(const struct tree *tree, const void **cursor,
                     struct tree_quota *quota)
{
    const struct map *map = &tree->quotas.by_path;
    struct map_link *link =
        *cursor == NULL ? map_first(map) : map_next(map, *cursor);
    const struct quota_account *account;
    const struct quota_limits *limits;

    *cursor = link;
    if (link == NULL) {
        return false;
    }
    account = MAP_ENTRY(link, struct quota_account, link);
    limits = &account->limits;
    *quota = (struct tree_quota){
        .path = link->key.bytes,
        .count_limit =
            limits->count_hard >= 0 ? limits->count_hard : limits->count_soft,
        .bytes_limit =
            limits->bytes_hard >= 0 ? limits->bytes_hard : limits->bytes_soft,
        .count = account->count,
        .bytes = account->bytes,
    };
    return true;
}

/* The tree's own part has no quotas: counting it would count the counters. */
static bool is_system(struct slice path)
{
    return slice_starts_with(path, ROOT) &&
           (path.len == ROOT.len || path.ptr[ROOT.len] == '/');
}

/* "/a/b" of "/zookeeper/quota/a/b/zookeeper_limits" */
static struct slice target_of(struct slice path, const struct znode *node)
{
    path = slice_after(path, QUOTA_ROOT.len);
    path.len -=
        (node->flags & ZNODE_LIMITS) != 0 ? LIMITS_END.len : USAGE_END.len;
    return path;
}

static struct quota_account *find(const struct quotas *quotas,
                                  struct slice path)
{
    struct map_link *link = map_find_bytes(&quotas->by_path, path);

    return link == NULL ? NULL : MAP_ENTRY(link, struct quota_account, link);
}

static struct quota_account *account_create(struct quotas *quotas,
                                            struct slice path)
{
    struct quota_account *account = mem_alloc(sizeof(*account) + path.len);

    *account = (struct quota_account){.limits = QUOTA_LIMITS_NONE};
    memcpy(account + 1, path.ptr, path.len);
    if (path.len > quotas->path_len_max) {
        quotas->path_len_max = path.len;
    }
    map_add_bytes(&quotas->by_path, &account->link,
                  slice_make(account + 1, path.len));
    return account;
}

/* While a tree is loaded, accounts are counted at the end. */
static void start_counting(struct tree *tree, struct quota_account *account)
{
    account->count = 0;
    account->bytes = 0;
    if (tree->loading) {
        return;
    }
    CHECK(tree->quotas.counting == NULL);
    tree->quotas.counting = account;
    tree->quotas.counting_at = tree_find(tree, account->link.key.bytes);
}

/* No zxid, no version, no mark for the checkpoint: a load counts anew. */
static void show_usage(struct tree *tree, struct quota_account *account)
{
    struct znode *node = account->usage_node;
    char text[64];
    int len;

    if (node == NULL || tree->loading) {
        return;
    }
    len = snprintf(text, sizeof(text), "count=%" PRId64 ",bytes=%" PRId64,
                   account->count, account->bytes);
    CHECK(len > 0 && (size_t)len < sizeof(text));
    tree->data_size -= node->data_len;
    node_set_data(node, slice_make(text, (size_t)len));
    tree->data_size += node->data_len;
}

/* "/a" for "/a/b", "" for "/a". */
/* The first that may have an account: to hash all of a deep path takes the
 * square of its depth. */
static struct slice prefix_longest(const struct quotas *quotas,
                                   struct slice path)
{
    while (path.len > quotas->path_len_max) {
        path = prefix_shorter(path);
    }
    return path;
}

static struct slice prefix_shorter(struct slice path)
{
    while (path.len > 0 && path.ptr[--path.len] != '/') {
    }
    return path;
}

static bool passed(int64_t used, int64_t change, int64_t limit)
{
    int64_t after;

    if (limit < 0 || change == 0) {
        return false;
    }
    if (__builtin_add_overflow(used, change, &after)) {
        return change > 0;
    }
    return after > limit;
}
