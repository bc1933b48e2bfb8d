#include "base/check.h"
#include "base/mem.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/net_internal.h"

#define WORD_SIZE 4

/* Behind the word, as far as it came. */
static struct slice word_rest(const struct net_conn *conn)
{
    return slice_make(conn->input + WORD_SIZE, conn->input_len - WORD_SIZE);
}

/* From here on nothing is read; what is left to do is to send. */
static void begin_answer(struct net_conn *conn)
{
    conn->begun = true;
    conn->paused = true;
    list_remove(&conn->timed);
}

static void end_answer(struct net_client *net, struct net_conn *conn)
{
    net_word_end(net, conn);
    net_input_free(conn);
    net_finish(net, conn, "four-letter word answered");
}

static void refuse_word(struct net_client *net, struct net_conn *conn)
{
    buf_clear(&net->text);
    buf_printf(&net->text,
               "%s is not executed because it is not in the whitelist.\n",
               conn->word->text);
    net_output_append(net, conn, buf_bytes(&net->text));
    end_answer(net, conn);
}

void net_word_begin(struct net_client *net, struct net_conn *conn,
                    const char *text)
{
    bool allowed = config_word_allowed(net->config, text);

    if (conn->word == NULL) {
        conn->word = MEM_NEW(struct net_word);
        list_init(&conn->word->link);
        conn->word->conn_id = conn->id;
        conn->word->text = text;
    }
    if (allowed && admin_wants_bytes(text, word_rest(conn))) {
        return; /* the handshake's time runs on */
    }
    begin_answer(conn);
    if (allowed) {
        list_push_back(admin_is_dump(text) ? &net->dumps : &net->words,
                       &conn->word->link);
    } else {
        refuse_word(net, conn);
    }
}

static bool may_dump(const struct net_client *net)
{
    return !list_empty(&net->dumps) && net->unsent <= NET_UNSENT_MAX &&
           admin_may_dump(net->loop);
}

bool net_word_has_work(const struct net_client *net)
{
    return may_dump(net) ||
           (!list_empty(&net->words) &&
            (net->jobs_count > 0 || net->unsent <= NET_UNSENT_MAX));
}

/* One slice of one answer, in turn. The text is kept here whole however slow
 * the reader: a walk over the server's state may hold requests up, and must not
 * last as long as a peer likes. What waits in all is limited before a walk
 * begins. */
void net_word_work(struct net_client *net)
{
    struct net_word *word;
    struct net_conn *conn;
    bool done;

    if (may_dump(net)) {
        word = LIST_ENTRY(net->dumps.next, struct net_word, link);
        list_remove(&word->link);
        list_push_front(&net->words, &word->link);
    }
    if (list_empty(&net->words)) {
        return;
    }
    word = LIST_ENTRY(net->words.next, struct net_word, link);
    list_remove(&word->link);
    list_push_back(&net->words, &word->link);
    if (word->job == NULL && net->unsent > NET_UNSENT_MAX) {
        return;
    }
    conn = net_find(net, word->conn_id);
    CHECK(conn != NULL && conn->word == word);
    if (word->job == NULL) {
        word->job = admin_begin(net->loop, word->text, word_rest(conn));
        net->jobs_count++;
    }
    buf_clear(&net->text);
    done = admin_step(word->job, &net->text);
    net_output_append(net, conn, buf_bytes(&net->text));
    net_output_dirty(net, conn);
    if (done) {
        end_answer(net, conn);
    }
}

void net_word_end(struct net_client *net, struct net_conn *conn)
{
    if (conn->word->job != NULL) {
        admin_end(conn->word->job);
        net->jobs_count--;
    }
    list_remove(&conn->word->link);
    mem_free(conn->word);
    conn->word = NULL;
}
