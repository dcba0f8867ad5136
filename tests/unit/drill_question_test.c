#include "test.h"

#include "drill/question.h"
#include "xml/tokenizer.h"

static const struct element *message_of(const char *children)
{
    struct element *message = NULL;
    struct str text = arena_printf(test_arena(), "<message>%s</message>", children);
    check(element_parse(test_arena(), text, NS_CLIENT, NULL, &message, NULL) == OK);
    return message;
}

static struct str answer_of(const struct question *question, bool meant, bool solves)
{
    struct buf out;
    buf_init(&out, 4096);
    question_answer(question, meant, solves, &out);
    struct str kept = arena_str(test_arena(), buf_str(&out));
    buf_done(&out);
    return kept;
}

#define ASKED                                                                                      \
    "<body>Did you mean to send www[.]evil[.]example/x to 20 people? Please answer here: "         \
    "\"yes 17\" if you sent it yourself, \"no 17\" if you did not."

TEST(a_question_in_words_is_answered_in_words)
{
    struct question question;
    check(question_read(message_of(ASKED "</body>"), &question));
    check(question.number == 17 && !question.has_form && question.n_animals == 0);
    check_str(answer_of(&question, true, true), STR("<body>yes 17</body>"));
    check_str(answer_of(&question, false, true), STR("<body>no 17</body>"));
}

TEST(a_person_solves_the_puzzle_and_a_program_does_not)
{
    struct question question;
    check(question_read(message_of(ASKED " Add the two that name animals: red, cow, bread, seven, "
                                         "lion, stone. Or answer elsewhere.</body>"),
                        &question));
    check(question.n_animals == 2);
    check_str(answer_of(&question, true, true), STR("<body>yes 17 cow lion</body>"));
    check_str(answer_of(&question, true, false), STR("<body>yes 17</body>"));
}

TEST(a_form_is_filled_in)
{
    struct question question;
    check(question_read(message_of(ASKED " that name animals: dog, red, cat.</body>"
                                         "<x xmlns='jabber:x:data' type='form'>"
                                         "<field var='FORM_TYPE' type='hidden'><value>"
                                         "urn:firedoor:question:0</value></field>"
                                         "<field var='question' type='hidden'><value>18</value>"
                                         "</field><field var='meant' type='boolean'/></x>"),
                        &question));
    check(question.has_form && question.number == 18);
    struct str said = answer_of(&question, true, true);
    const struct element *form =
        element_child(message_of(arena_str(test_arena(), said).at), NS_DATA, STR("x"));
    check(form != NULL && str_eq(element_attr(form, STR("type")), STR("submit")));
    check(str_find(said, STR("<field var='words'><value>dog cat</value></field>")) < said.len);
    check(str_find(said, STR("<field var='meant'><value>1</value></field>")) < said.len);
    said = answer_of(&question, false, false);
    check(str_find(said, STR("<field var='meant'><value>0</value></field>")) < said.len);
    check(str_find(said, STR("words")) == said.len);
}

TEST(other_words_of_a_server_ask_nothing)
{
    struct question question;
    check(!question_read(message_of("<body>Thank you. What was waiting is on its way.</body>"),
                         &question));
    check(!question_read(message_of("<body>Did you mean to send it? \"yes x\"</body>"), &question));
    check(!question_read(message_of("<body/>"), &question));
    check(!question_read(message_of("<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>"
                                    "urn:firedoor:question:0</value></field></x>"),
                         &question));
}

TEST(a_question_shows_what_it_is_about_and_not_what_can_be_opened)
{
    struct question question;
    check(question_read(message_of(ASKED "</body>"), &question));
    check(question_shows(&question, STR("http://www.evil.example/other")));
    check(question_shows(&question, STR("evil.example")));
    check(!question_shows(&question, STR("http://good.example/x")));
    check(!question_shows(&question, STR_EMPTY));
}
