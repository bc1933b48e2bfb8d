#include "base/blob.h"

#include "base/check.h"
#include "base/mem.h"

struct blob {
    uint32_t count;
    size_t len;
    uint8_t bytes[];
};

struct blob *blob_copy(struct slice bytes)
{
    uint8_t *to;
    struct blob *blob = blob_create(bytes.len, &to);

    if (bytes.len > 0) {
        memcpy(to, bytes.ptr, bytes.len);
    }
    return blob;
}

struct blob *blob_create(size_t len, uint8_t **bytes)
{
    struct blob *blob = mem_alloc(sizeof(*blob) + len);

    blob->count = 1;
    blob->len = len;
    *bytes = blob->bytes;
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    CHECK(blob->count > 0);
    CHECK(blob->count < UINT32_MAX);
    blob->count++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    CHECK(blob->count > 0);
    blob->count--;
    if (blob->count == 0) {
        mem_free(blob);
    }
}

struct slice blob_bytes(const struct blob *blob)
{
    return slice_make(blob->bytes, blob->len);
}
