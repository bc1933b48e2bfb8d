/* One server whose peers are the test: it is number 1 of an ensemble of three
 * voters and one observer (4), or that observer; its leader is number 3. What
 * it wants is kept for the test to look at; its disk does an op when it is
 * told to. */
#ifndef CORRAL_TESTS_UNIT_ZAB_PUPIL_H
#define CORRAL_TESTS_UNIT_ZAB_PUPIL_H

#include "tests/support/fake_disk.h"
#include "zab/zab.h"

#define PUPIL_EFFECTS_MAX 8192
#define PUPIL_LEADER 3

struct pupil {
    struct zab_config config;
    struct zab_member members[4];
    struct zab *zab;
    struct fake_disk *disk;
    struct zab_effect effects[PUPIL_EFFECTS_MAX]; /* without references */
    size_t effects_count;
    zxid_t ends[16];  /* of the last ACK_EPOCH */
    zxid_t delivered; /* the last one, or that of the tree */
    unsigned loads;   /* of the tree */
};

/* A voter that has taken up epoch 2 in another life and logged 2.1 to 2.count,
 * of which nothing is known to be committed. */
void pupil_init(struct pupil *p, uint32_t count);
void pupil_init_blank(struct pupil *p);
void pupil_init_observer(struct pupil *p);
void pupil_finish(struct pupil *p);
void pupil_start(struct pupil *p); /* with what the disk has; through boot */
void pupil_crash(struct pupil *p); /* what waits for the disk is lost */

void pupil_input(struct pupil *p, const struct zab_input *input);
void pupil_tick(struct pupil *p, unsigned count);
bool pupil_disk(struct pupil *p);   /* one op; false: none waits */
void pupil_settle(struct pupil *p); /* all of them */
/* A link of its own to the leader, or of the mesh. */
void pupil_link(struct pupil *p, enum peer_link link, uint64_t peer, bool up);
/* From the leader, over the link that the pupil dialled. */
void pupil_hear(struct pupil *p, const struct peer_msg *msg);
/* PROPOSE or INFORM of so many. */
void pupil_propose(struct pupil *p, enum peer_msg_type type, uint32_t epoch,
                   zxid_t first, uint32_t count);
void pupil_say(struct pupil *p, enum peer_msg_type type, uint32_t epoch,
               zxid_t zxid); /* one without more */
void pupil_new_epoch(struct pupil *p, uint32_t epoch);
void pupil_chunk(struct pupil *p, uint32_t epoch, uint32_t number, bool last);

/* Stations on the way, each from the one before; the disk is settled. */
void pupil_dials(struct pupil *p);                    /* ZAB_CONNECT */
void pupil_asks(struct pupil *p);                     /* FOLLOWER_INFO */
void pupil_promises(struct pupil *p, uint32_t epoch); /* ACK_EPOCH */
void pupil_syncs(struct pupil *p, uint32_t epoch);    /* an empty DIFF */
void pupil_takes_up(struct pupil *p, uint32_t epoch); /* ACK_NEW_LEADER */
void pupil_follows(struct pupil *p, uint32_t epoch);  /* UP_TO_DATE */

/* Of what it wanted since pupil_forget(): the last of its kind; NULL: none. */
void pupil_forget(struct pupil *p);
const struct peer_msg *pupil_sent(const struct pupil *p,
                                  enum peer_msg_type type);
size_t pupil_sent_count(const struct pupil *p, enum peer_msg_type type);
const struct store_op *pupil_asked(const struct pupil *p,
                                   enum store_op_type type);
size_t pupil_asked_count(const struct pupil *p, enum store_op_type type);
const struct zab_effect *pupil_wanted(const struct pupil *p,
                                      enum zab_effect_type type);
bool pupil_is(const struct pupil *p, const char *phase);
/* It looks for a leader, and has closed its link. */
void pupil_expect_looking(const struct pupil *p);
/* The link was dropped for this. */
void pupil_expect_dropped(const struct pupil *p, const char *why);

#endif
