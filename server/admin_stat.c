#include <inttypes.h>

#include "server/admin_internal.h"
#include "server/net.h"

#define ADDRESS_SIZE 80

/* Bytes; -1 while there was none. */
static void print_proposals(const struct zab_counts *zab, struct buf *out)
{
    if (zab->proposals == 0) {
        buf_append_text(out, "Proposal sizes last/min/max: -1/-1/-1\n");
        return;
    }
    buf_printf(out, "Proposal sizes last/min/max: %zu/%zu/%zu\n",
               zab->proposal_size_last, zab->proposal_size_min,
               zab->proposal_size_max);
}

static void print_numbers(const struct admin_job *job,
                          const struct inspect_server *server, struct buf *out)
{
    buf_printf(out, "Latency min/avg/max: %" PRIu64 "/",
               server->latency_ms_min);
    admin_decimal(out, server->latency_ms_avg);
    buf_printf(out,
               "/%" PRIu64 "\n"
               "Received: %" PRIu64 "\n"
               "Sent: %" PRIu64 "\n"
               "Connections: %zu\n"
               "Outstanding: %" PRIu64 "\n"
               "Zxid: 0x%" PRIx64 "\n"
               "Mode: %s\n"
               "Node count: %" PRIu64 "\n",
               server->latency_ms_max, server->received, server->sent,
               net_client_count(loop_clients(job->loop)), server->outstanding,
               (uint64_t)server->zxid, admin_mode(server), server->znodes);
    if (!server->standalone && server->role == ZAB_LEADING) {
        print_proposals(&server->zab, out);
    }
}

static void print_version(const struct inspect_server *server, struct buf *out)
{
    buf_append_text(out, "Zookeeper version: ");
    admin_version(out);
    buf_append_text(out, "\n");
    if (server->read_only) {
        buf_append_text(out,
                        "READ-ONLY mode; serving only read-only clients\n");
    }
}

bool admin_srvr(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    admin_look(job, &server);
    print_version(&server, out);
    print_numbers(job, &server, out);
    return true;
}

/* The number in brackets is Java's set of wanted events: 1 is reading. */
static void print_conn(const struct admin_job *job,
                       const struct inspect_conn *conn, struct buf *out)
{
    char address[ADDRESS_SIZE];

    net_client_address(loop_clients(job->loop), conn->conn_id, address,
                       sizeof(address));
    buf_printf(out,
               " %s[%d](queued=%" PRIu64 ",recved=%" PRIu64 ",sent=%" PRIu64,
               address, conn->session_id != 0 ? 1 : 0, conn->queued,
               conn->received, conn->sent);
}

static void print_session(const struct inspect_conn *conn, struct buf *out)
{
    buf_printf(out, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%d",
               conn->session_id, conn->last_op, conn->established_wall_ms,
               conn->timeout_ms);
    if (conn->last_cxid >= 0) {
        buf_printf(out, ",lcxid=0x%x", (unsigned)conn->last_cxid);
    }
    buf_printf(out,
               ",lzxid=0x%" PRIx64 ",lresp=%" PRId64 ",llat=%" PRId64
               ",minlat=%" PRId64 ",avglat=%" PRId64 ",maxlat=%" PRId64,
               (uint64_t)conn->last_zxid, conn->last_response_ms,
               conn->latency_ms_last, conn->latency_ms_min,
               (int64_t)conn->latency_ms_avg, conn->latency_ms_max);
}

/* A line for each, over as many slices as it takes. Connections come and go
 * meanwhile: each line is true when it is written. */
static bool print_conns(struct admin_job *job, bool sessions, struct buf *out)
{
    struct inspect_conn conn;

    while (inspect_conn_next(job->replica, &job->cursor, &conn)) {
        print_conn(job, &conn, out);
        if (sessions && conn.session_id != 0) {
            print_session(&conn, out);
        }
        buf_append_text(out, ")\n");
        if (admin_slice_over(job)) {
            return false;
        }
    }
    return true;
}

bool admin_cons(struct admin_job *job, struct buf *out)
{
    if (!print_conns(job, true, out)) {
        return false;
    }
    buf_append_text(out, "\n");
    return true;
}

bool admin_stat(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    if (job->phase == 0) {
        admin_look(job, &server);
        print_version(&server, out);
        buf_append_text(out, "Clients:\n");
        job->phase = 1;
    }
    if (!print_conns(job, false, out)) {
        return false;
    }
    admin_look(job, &server);
    buf_append_text(out, "\n");
    print_numbers(job, &server, out);
    return true;
}
