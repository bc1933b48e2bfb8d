/* Bytes on their way, from pools: a message costs no malloc. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/sim_internal.h"

#define SIZE_MIN 64U

struct packet *packet_create(struct sim *sim, size_t len)
{
    uint32_t class = 0;
    struct packet *packet;

    while (((size_t)SIZE_MIN << class) < len) {
        class ++;
    }
    CHECK(class < PACKET_CLASSES);
    packet = sim->packets[class];
    if (packet == NULL) {
        packet = mem_alloc(sizeof(*packet) + ((size_t)SIZE_MIN << class));
    } else {
        sim->packets[class] = packet->next;
    }
    packet->next = NULL;
    packet->refs = 1;
    packet->len = (uint32_t)len;
    packet->size_class = class;
    return packet;
}

void packet_unref(struct sim *sim, struct packet *packet)
{
    if (packet == NULL || --packet->refs > 0) {
        return;
    }
    packet->next = sim->packets[packet->size_class];
    sim->packets[packet->size_class] = packet;
}

void packets_finish(struct sim *sim)
{
    for (int i = 0; i < PACKET_CLASSES; i++) {
        while (sim->packets[i] != NULL) {
            struct packet *packet = sim->packets[i];

            sim->packets[i] = packet->next;
            mem_free(packet);
        }
    }
}
