/* A request, a reply or a txn as one line of text, for debug logs and traces.
 *
 * Node data and auth data appear as a length, session passwords not at all;
 * whatever a client chose is quoted, escaped and cut. Appends to out, without
 * a newline. */
#ifndef CORRAL_PROTO_TEXT_H
#define CORRAL_PROTO_TEXT_H

#include "base/buf.h"
#include "proto/client.h"
#include "proto/txn.h"

/* In double quotes; \" \\ \n \r \t, and \xNN for what is not printable ASCII;
 * only the first 256 bytes, then "..."; null without quotes when absent. */
void text_append_quoted(struct buf *out, struct slice bytes);

void client_request_text(const struct client_request *request, struct buf *out);
void client_reply_text(const struct client_reply *reply, struct buf *out);
void txn_text(const struct txn *txn, struct buf *out);

#endif
