/* Four-letter words: text in ZooKeeper's format, made in slices so that a dump
 * of a million watches holds nothing up. One thread: the loop's. */
#ifndef CORRAL_SERVER_ADMIN_H
#define CORRAL_SERVER_ADMIN_H

#include "base/buf.h"
#include "server/loop.h"

struct admin_job;

/* Kept in the loop; a zeroed one is where it begins. */
struct admin_state {
    uint64_t trace_mask_flipped;    /* stmk: exclusive-or with the default */
    const struct admin_job *holder; /* the dump that holds the replica */
    int64_t hold_again_ms; /* not before: requests must have their turn too */
};

/* A word (static text of frame_four_letter_word) from connection conn_id; rest
 * is what came behind it so far (stmk's eight bytes). Gives a job. */
struct admin_job *admin_begin(struct loop *loop, const char *word,
                              struct slice rest);
/* One slice of about 1 ms: appends text to out; false: more to do. */
bool admin_step(struct admin_job *job, struct buf *out);
void admin_end(struct admin_job *job); /* also early: the peer went away */
/* The word walks over a state that must stand still. One such job at a time,
 * and after it as long a break as it took: begin it only while
 * admin_may_dump(). */
bool admin_is_dump(const char *word);
bool admin_may_dump(struct loop *loop);
/* True while the word needs bytes that have not come (stmk). */
bool admin_wants_bytes(const char *word, struct slice rest);

#endif
