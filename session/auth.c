#include "session/auth.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "base/mem.h"
#include "proto/address.h"

/* A connection holds its ids for life and sends them along with every
 * forwarded request: both are limited. ZooKeeper has no limit. */
#define IDS_MAX ((size_t)64)
#define CREDENTIALS_LEN_MAX ((size_t)4096)

#define SHA1_SIZE 20
#define SHA1_BASE64_SIZE 28

static bool is_there(const struct auth_list *list, struct slice scheme,
                     struct slice id);
static enum zk_code digest_packet(struct auth_list *list,
                                  struct slice credentials,
                                  const struct auth_policy *policy);
static enum zk_code ensemble_packet(struct slice name, struct slice names);
static struct slice trim(struct slice text);
static size_t write_digest_id(struct slice user_and_password, uint8_t *to);
static size_t user_len(struct slice user_and_password);

void auth_list_finish(struct auth_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* Scheme and id are one piece of memory: auth_list_add(). */
        mem_free((void *)(uintptr_t)list->items[i].scheme.ptr);
    }
    mem_free(list->items);
    *list = (struct auth_list){0};
}

void auth_list_add(struct auth_list *list, struct slice scheme, struct slice id,
                   bool super)
{
    uint8_t *text;

    if (is_there(list, scheme, id)) {
        return;
    }
    text = mem_alloc(scheme.len + id.len);
    if (scheme.len > 0) {
        memcpy(text, scheme.ptr, scheme.len);
    }
    if (id.len > 0) {
        memcpy(text + scheme.len, id.ptr, id.len);
    }
    list->items = mem_grow(list->items, &list->capacity, list->count + 1,
                           sizeof(*list->items));
    list->items[list->count++] = (struct zk_auth){
        .scheme = slice_make(text, scheme.len),
        .id = slice_make(text + scheme.len, id.len),
        .super = super,
    };
}

void auth_add_address(struct auth_list *list, struct slice address)
{
    struct address_prefix parsed;
    char text[ADDRESS_TEXT_MAX];

    if (address_parse(address, &parsed)) {
        auth_list_add(list, SLICE_LITERAL("ip"), address_format(&parsed, text),
                      false);
    }
}

enum zk_code auth_packet(struct auth_list *list,
                         const struct zk_auth_request *request,
                         const struct auth_policy *policy)
{
    if (policy->digest_enabled &&
        slice_equal(request->scheme, SLICE_LITERAL("digest"))) {
        return digest_packet(list, request->auth, policy);
    }
    if (slice_equal(request->scheme, SLICE_LITERAL("ip"))) {
        return ZK_OK; /* the connection has that id from its beginning */
    }
    if (!slice_is_absent(policy->ensemble_name) &&
        slice_equal(request->scheme, SLICE_LITERAL("ensemble"))) {
        return ensemble_packet(request->auth, policy->ensemble_name);
    }
    return ZK_AUTH_FAILED;
}

struct slice auth_digest_id(struct slice user_and_password, struct arena *arena)
{
    size_t size = user_len(user_and_password) + 1 + SHA1_BASE64_SIZE + 1;
    uint8_t *text = ARENA_NEW(arena, uint8_t, size);

    return slice_make(text, write_digest_id(user_and_password, text));
}

static bool is_there(const struct auth_list *list, struct slice scheme,
                     struct slice id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (slice_equal(list->items[i].scheme, scheme) &&
            slice_equal(list->items[i].id, id)) {
            return true;
        }
    }
    return false;
}

/* As DigestAuthenticationProvider: without a colon all of it is the user. */
static enum zk_code digest_packet(struct auth_list *list,
                                  struct slice credentials,
                                  const struct auth_policy *policy)
{
    uint8_t text[CREDENTIALS_LEN_MAX + 1 + SHA1_BASE64_SIZE + 1];
    struct slice id;
    bool super;

    if (slice_is_absent(credentials) || credentials.len > CREDENTIALS_LEN_MAX) {
        return ZK_AUTH_FAILED;
    }
    id = slice_make(text, write_digest_id(credentials, text));
    super = !slice_is_absent(policy->super_digest) &&
            slice_equal(id, policy->super_digest);
    if (!is_there(list, SLICE_LITERAL("digest"), id) &&
        list->count + (super ? 2 : 1) > IDS_MAX) {
        return ZK_AUTH_FAILED;
    }
    if (super) {
        auth_list_add(list, SLICE_LITERAL("super"), SLICE_LITERAL(""), true);
    }
    auth_list_add(list, SLICE_LITERAL("digest"), id, false);
    return ZK_OK;
}

/* Guards against a client of another ensemble: gives no id. An empty name is
 * let through; ours may be several, with commas, as in ZooKeeper. */
static enum zk_code ensemble_packet(struct slice name, struct slice names)
{
    if (name.len == 0) {
        return ZK_OK;
    }
    for (;;) {
        const uint8_t *comma =
            names.len == 0 ? NULL : memchr(names.ptr, ',', names.len);
        size_t len = comma == NULL ? names.len : (size_t)(comma - names.ptr);

        if (slice_equal(trim(slice_make(names.ptr, len)), name)) {
            return ZK_OK;
        }
        if (comma == NULL) {
            return ZK_AUTH_FAILED;
        }
        names = slice_after(names, len + 1);
    }
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && text.ptr[0] <= ' ') {
        text = slice_after(text, 1);
    }
    while (text.len > 0 && text.ptr[text.len - 1] <= ' ') {
        text.len--;
    }
    return text;
}

/* "user:" and 28 bytes of base64 with a NUL that is not counted. */
static size_t write_digest_id(struct slice user_and_password, uint8_t *to)
{
    size_t len = user_len(user_and_password);
    uint8_t sha1[SHA1_SIZE];
    int done = EVP_Digest(user_and_password.ptr, user_and_password.len, sha1,
                          NULL, EVP_sha1(), NULL);

    CHECK(done == 1);
    if (len > 0) {
        memcpy(to, user_and_password.ptr, len);
    }
    to[len] = ':';
    done = EVP_EncodeBlock(to + len + 1, sha1, sizeof(sha1));
    CHECK(done == SHA1_BASE64_SIZE);
    return len + 1 + SHA1_BASE64_SIZE;
}

static size_t user_len(struct slice user_and_password)
{
    const uint8_t *colon =
        user_and_password.len == 0
            ? NULL
            : memchr(user_and_password.ptr, ':', user_and_password.len);

    return colon == NULL ? user_and_password.len
                         : (size_t)(colon - user_and_password.ptr);
}
