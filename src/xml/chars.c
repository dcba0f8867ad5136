/*
 * What each byte may be in XML, as one table: a tag is read by a load and a test a byte.
 */
#include "xml/chars_internal.h"

#include "xml/element.h"

#define START (CHAR_NAME_START | CHAR_NAME)

const uint8_t char_class[256] = {
    [0x00 ... 0x08] = CHAR_STOP,
    ['\t'] = CHAR_STOP | CHAR_SPACE,
    ['\n'] = CHAR_STOP | CHAR_SPACE,
    [0x0B ... 0x0C] = CHAR_STOP,
    ['\r'] = CHAR_STOP | CHAR_SPACE,
    [0x0E ... 0x1F] = CHAR_STOP,
    [' '] = CHAR_SPACE,
    ['&'] = CHAR_STOP,
    ['-'] = CHAR_NAME,
    ['.'] = CHAR_NAME,
    ['0' ... '9'] = CHAR_NAME,
    ['<'] = CHAR_STOP,
    ['A' ... 'Z'] = START,
    ['_'] = START,
    ['a' ... 'z'] = START,
    [0x80 ... 0xFF] = CHAR_STOP,
};

bool char_is_allowed(uint32_t code)
{
    if (code < 0x20)
        return code == '\t' || code == '\n' || code == '\r';
    return code < 0xD800 || (code > 0xDFFF && code < 0xFFFE) || (code > 0xFFFF && code < 0x110000);
}

int char_read(const char *at, const char *end, uint32_t *code)
{
    const uint8_t *p = (const uint8_t *)at;
    size_t room = (size_t)(end - at);
    uint32_t c = p[0];
    if (c < 0x80) {
        *code = c;
        return char_is_allowed(c) ? 1 : 0;
    }
    int len;
    uint32_t least; // of its length: overlong forms are below
    if (c >= 0xC2 && c <= 0xDF) {
        len = 2, least = 0x80, c &= 0x1F;
    } else if (c >= 0xE0 && c <= 0xEF) {
        len = 3, least = 0x800, c &= 0x0F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        len = 4, least = 0x10000, c &= 0x07;
    } else {
        return 0;
    }
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= room)
            return -1;
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3FU);
    }
    if (c < least || !char_is_allowed(c))
        return 0;
    *code = c;
    return len;
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

bool char_is_name_start(uint32_t code)
{
    static const struct range starts[] = {
        {0xC0,    0xD6   },
        {0xD8,    0xF6   },
        {0xF8,    0x2FF  },
        {0x370,   0x37D  },
        {0x37F,   0x1FFF },
        {0x200C,  0x200D },
        {0x2070,  0x218F },
        {0x2C00,  0x2FEF },
        {0x3001,  0xD7FF },
        {0xF900,  0xFDCF },
        {0xFDF0,  0xFFFD },
        {0x10000, 0xEFFFF},
    };
    return is_in(starts, COUNT_OF(starts), code);
}

bool char_is_name(uint32_t code)
{
    static const struct range more[] = {
        {0xB7,   0xB7  },
        {0x300,  0x36F },
        {0x203F, 0x2040},
    };
    return char_is_name_start(code) || is_in(more, COUNT_OF(more), code);
}

bool xml_is_text(struct str text)
{
    const char *p = text.at, *end = text.at + text.len;
    while (p < end) {
        uint32_t code;
        int len = char_read(p, end, &code);
        if (len <= 0)
            return false;
        p = char_skip_plain(p + len, end, '<');
    }
    return true;
}
