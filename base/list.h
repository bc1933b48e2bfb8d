/* Intrusive doubly linked list: the link lives in the element. A list head and
 * an element not in a list both point to themselves. */
#ifndef CORRAL_BASE_LIST_H
#define CORRAL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push_back(struct list *l, struct list *elem)
{
    elem->prev = l->prev;
    elem->next = l;
    l->prev->next = elem;
    l->prev = elem;
}

static inline void list_push_front(struct list *l, struct list *elem)
{
    list_push_back(l->next, elem);
}

static inline void list_remove(struct list *elem)
{
    elem->prev->next = elem->next;
    elem->next->prev = elem->prev;
    list_init(elem);
}

#define LIST_ENTRY(link, type, member) \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The body may remove the element it stands on, no other. at and after are
 * names, not expressions. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_EACH(head, at, after)                                        \
    for (struct list *at = (head)->next, *after = at->next; at != (head); \
         at = after, after = at->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
