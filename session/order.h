/* The order of answers on one connection: one queue of what must be answered
 * in its turn. A write waits for its delivery, a read runs when it is at the
 * head, a refusal or local error is ready at once and still waits its turn.
 * Pings and auth pass by. One thread; owned by the connection it serves. */
#ifndef CORRAL_SESSION_ORDER_H
#define CORRAL_SESSION_ORDER_H

#include "base/blob.h"
#include "base/slice.h"

enum order_type {
    ORDER_WAITING, /* a write or sync: origin_request says whose answer */
    ORDER_FRAME,   /* a read to run at the head: a request frame */
    ORDER_REPLY,   /* an answer that is ready: a packet */
};

struct order;

struct order *order_create(void);
void order_destroy(struct order *order); /* NULL is fine; drops what it holds */
bool order_empty(const struct order *order); /* a read may run at once */
size_t order_count(const struct order *order);
size_t order_frames(const struct order *order); /* reads held */

void order_push_waiting(struct order *order, uint64_t origin_request);
void order_push_frame(struct order *order, struct blob *frame);  /* taken */
void order_push_reply(struct order *order, struct blob *packet); /* taken */

/* Type of the head and its content, borrowed until the pop; false: empty. */
struct order_head {
    enum order_type type;
    uint64_t origin_request;
    struct blob *bytes;
};
bool order_head(const struct order *order, struct order_head *head);
void order_pop(struct order *order); /* drops the head */
/* The write that waits becomes an answer in its place. packet is taken. False:
 * no such entry (packet dropped). Looks at the head first: that is O(1) in the
 * usual case. */
bool order_answer(struct order *order, uint64_t origin_request,
                  struct blob *packet);

#endif
