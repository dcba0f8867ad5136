/*
 * What must hold of the XML room for any bytes; each fails by must().
 */
#ifndef TESTS_FUZZ_XML_CHECK_H
#define TESTS_FUZZ_XML_CHECK_H

#include "base/str.h"

/* One document, read by us and by expat: both refuse it, or both make the same tree of it (expat
 * with comments, processing instructions, document types and other encodings counted as refused).
 * And what we write of it reads as the same tree again, to us and to expat. */
void xml_check_document(struct str text);

/* The body of a stream, in one piece and in pieces that the seed chooses: the same stanzas, and
 * the same fault at the end. */
void xml_check_stream(struct str text, uint64_t seed);

#endif
