#include "test.h"

#include "drill/letter.h"
#include "xml/tokenizer.h"

/* A copy as a message of the client's namespace; the arena is the test's. */
static const struct element *copy_of(const char *name)
{
    static const uint32_t contacts[] = {1, 2, 3};
    struct worm worm = {worm_find(str_of(name)), 5};
    struct infection infection;
    struct letter letter;
    struct buf text;
    buf_init(&text, 16384);
    buf_add(&text, STR("<message>"));
    infection_init(&infection, &worm, 7, contacts, COUNT_OF(contacts));
    infection_write(&infection, &worm, test_arena(), STR("ann"), &letter);
    letter_write(&letter, &text);
    infection_done(&infection);
    buf_add(&text, STR("</message>"));
    struct element *message = NULL;
    struct str kept = arena_str(test_arena(), buf_str(&text));
    check(element_parse(test_arena(), kept, NS_CLIENT, NULL, &message, NULL) == OK);
    buf_done(&text);
    return message;
}

TEST(every_copy_is_well_formed)
{
    for (const struct worm_profile *profile = worm_profiles; profile->name != NULL; profile++)
        check(element_child_text(copy_of(profile->name), NS_CLIENT, STR("body")).len > 0);
}

TEST(a_file_is_announced_with_its_digest)
{
    const struct element *sharing = element_child(copy_of("P6"), NS_SFS, STR("file-sharing"));
    check(sharing != NULL);
    const struct element *file = element_child(sharing, NS_FILE_METADATA, STR("file"));
    check(file != NULL);
    check(element_child_text(file, NS_FILE_METADATA, STR("name")).len > 0);
}

TEST(an_encrypted_copy_shows_nothing_of_its_text_and_is_another_for_each)
{
    const struct element *first = copy_of("P13"), *second = copy_of("P13");
    const struct element *encrypted = element_child(first, NS_OMEMO, STR("encrypted"));
    check(encrypted != NULL);
    check(element_child(element_child(encrypted, NS_OMEMO, STR("header")), NS_OMEMO, STR("key")) !=
          NULL);
    struct str payload = element_child_text(encrypted, NS_OMEMO, STR("payload"));
    check(payload.len > 20);
    check(!str_eq(payload, element_child_text(element_child(second, NS_OMEMO, STR("encrypted")),
                                              NS_OMEMO, STR("payload"))));
    struct str text = element_child_text(first, NS_CLIENT, STR("body"));
    check(str_find(text, STR("http")) == text.len && str_find(text, STR("OMEMO")) < text.len);
}
