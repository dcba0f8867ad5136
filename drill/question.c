#include "drill/question.h"

#include "xml/writer.h"

#include <inttypes.h>

/* The words of a puzzle in English: what everybody knows. */
static const char *const animals[] = {"dog",  "cat",  "horse", "cow",  "sheep",
                                      "goat", "duck", "mouse", "lion", "bear"};

static bool is_animal(struct str word)
{
    for (size_t i = 0; i < COUNT_OF(animals); i++) {
        if (str_eq(word, str_of(animals[i])))
            return true;
    }
    return false;
}

static struct str cut_word(struct str *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->at[n] >= 'a' && rest->at[n] <= 'z')
        n++;
    struct str word = str_first(*rest, n);
    *rest = str_skip(*rest, n > 0 ? n : 1);
    return word;
}

static void look_for_animals(struct str text, struct question *out)
{
    size_t at = str_find(text, STR("animals:"));
    struct str rest = str_skip(text, at);
    while (rest.len > 0 && out->n_animals < COUNT_OF(out->animals)) {
        struct str word = cut_word(&rest);
        if (is_animal(word))
            out->animals[out->n_animals++] = word;
    }
}

static struct str field_value(const struct element *form, struct str var)
{
    ELEMENT_EACH(form, field)
    {
        if (element_is(field, NS_DATA, STR("field")) &&
            str_eq(element_attr(field, STR("var")), var))
            return element_child_text(field, NS_DATA, STR("value"));
    }
    return STR_EMPTY;
}

/* The number after a word, as in: Please answer "yes 17". */
static bool number_after(struct str text, struct str word, uint64_t *number)
{
    size_t at = str_find(text, word);
    struct str rest = str_skip(text, at < text.len ? at + word.len : at);
    size_t n = 0;
    while (n < rest.len && rest.at[n] >= '0' && rest.at[n] <= '9')
        n++;
    return str_to_u64(str_first(rest, n), 1, UINT64_MAX, number) == OK;
}

bool question_read(const struct element *message, struct question *out)
{
    const struct element *form = element_child(message, NS_DATA, STR("x"));
    struct question question = {.text = element_child_text(message, NS_CLIENT, STR("body"))};
    if (form != NULL && str_eq(field_value(form, STR("FORM_TYPE")), NS_QUESTION)) {
        question.has_form = true;
        if (str_to_u64(field_value(form, STR("question")), 1, UINT64_MAX, &question.number) != OK)
            return false;
    } else if (!str_starts(question.text, STR("Did you mean to send ")) ||
               !number_after(question.text, STR("\"yes "), &question.number)) {
        return false;
    }
    look_for_animals(question.text, &question);
    *out = question;
    return true;
}

static void add_field(const char *var, struct str value, struct buf *out)
{
    buf_printf(out, "<field var='%s'><value>", var);
    xml_write_text(out, value);
    buf_add(out, STR("</value></field>"));
}

static void add_animals(const struct question *question, struct buf *out)
{
    for (size_t i = 0; i < question->n_animals; i++)
        buf_printf(out, "%s%.*s", i > 0 ? " " : "", STR_ARGS(question->animals[i]));
}

void question_answer(const struct question *question, bool meant, bool solves, struct buf *out)
{
    if (!question->has_form) {
        buf_printf(out, "<body>%s %" PRIu64, meant ? "yes" : "no", question->number);
        if (solves && question->n_animals > 0) {
            buf_add_char(out, ' ');
            add_animals(question, out);
        }
        buf_add(out, STR("</body>"));
        return;
    }
    struct buf value;
    buf_init(&value, 256);
    buf_add(out, STR("<x xmlns='jabber:x:data' type='submit'>"));
    add_field("FORM_TYPE", NS_QUESTION, out);
    buf_printf(&value, "%" PRIu64, question->number);
    add_field("question", buf_str(&value), out);
    add_field("meant", meant ? STR("1") : STR("0"), out);
    if (solves && question->n_animals > 0) {
        buf_clear(&value);
        add_animals(question, &value);
        add_field("words", buf_str(&value), out);
    }
    buf_add(out, STR("</x>"));
    buf_done(&value);
}

bool question_shows(const struct question *question, struct str link)
{
    struct str host = link;
    size_t scheme = str_find(host, STR("://"));
    if (scheme < host.len)
        host = str_skip(host, scheme + 3);
    host = str_first(host, str_find_char(host, '/'));
    struct buf dead;
    buf_init(&dead, 1024);
    for (size_t i = 0; i < host.len; i++) { // as lure_defang() writes it
        if (host.at[i] == '.')
            buf_add(&dead, STR("[.]"));
        else
            buf_add_char(&dead, host.at[i]);
    }
    bool shows = !dead.overflowed && dead.len > 0 &&
                 str_find(question->text, buf_str(&dead)) < question->text.len;
    buf_done(&dead);
    return shows;
}
