/* Immutable bytes with a reference count: the one shared-ownership type.
 *
 * A proposal is referred to at once by the in-flight history, the append batch
 * and every peer's send queue; a blob lets all of them hold it without a copy.
 * Thread: counts change on the loop thread only. The disk thread may read the
 * bytes of a blob it was handed, and hands the reference back when done; a blob
 * that it makes itself it gives away whole. */
#ifndef CORRAL_BASE_BLOB_H
#define CORRAL_BASE_BLOB_H

#include "base/slice.h"

struct blob;

struct blob *blob_copy(struct slice bytes); /* gives; count = 1 */
/* Gives a blob of len bytes, count = 1, to be filled through *bytes before
 * anybody else sees it. */
struct blob *blob_create(size_t len, uint8_t **bytes);
struct blob *blob_ref(struct blob *blob);         /* returns blob */
void blob_unref(struct blob *blob);               /* NULL is fine */
struct slice blob_bytes(const struct blob *blob); /* lives as long as blob */

#endif
