#include "town/names.h"

#include "base/must.h"

#include <stdlib.h>

enum { NAMES_MOST = 10000000 };

void names_init(struct names *names)
{
    names->n = 0;
    table_init(&names->table, NAMES_MOST);
}

void names_done(struct names *names)
{
    size_t at = 0;
    for (void *number; (number = table_next(&names->table, &at)) != NULL;)
        free(number);
    table_done(&names->table);
}

uint32_t names_number(struct names *names, struct str name)
{
    uint32_t *known = table_get(&names->table, name);
    if (known != NULL)
        return *known;
    // the number and the name that the table borrows, in one block
    uint32_t *fresh = malloc(sizeof *fresh + name.len);
    must(fresh != NULL);
    *fresh = names->n++;
    memcpy(fresh + 1, name.at, name.len);
    must(table_put(&names->table, str_make((char *)(fresh + 1), name.len), fresh) == OK);
    return *fresh;
}

struct str column_cut(struct str *rest)
{
    size_t from = 0;
    while (from < rest->len && strchr(" \t\r\n,;", rest->at[from]) != NULL)
        from++;
    size_t to = from;
    while (to < rest->len && strchr(" \t\r\n,;", rest->at[to]) == NULL)
        to++;
    struct str word = str_make(rest->at + from, to - from);
    *rest = str_skip(*rest, to);
    return word;
}
