/*
 * The control socket: firedoorctl's door to the command layer.
 *
 * A UNIX stream socket.  The kernel says who is on the other side: root, the
 * server's own user, and members of control.group may come in, as operators.
 * One JSON object a line, in both directions:
 *
 *     → {"command": "user add", "arguments": {"jid": "…", "password": "…"}}
 *     ← {"progress": {…}}                          any number
 *     ← {"data": "base64"}                         of exports
 *     ← {"ok": true, "result": {…}}
 *     ← {"ok": false, "error": "missing", "message": "…", "result": {…} or absent}
 *
 * A command that reads is followed by {"data": "base64"} lines, the last one
 * with "end": true.  One command at a time; the next line is read after its
 * answer.  Reading pauses where the command is slower than its data.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/command.h"
#include "daemon/privileges.h"
#include "net/loop.h"

struct control;

/* Makes the socket, while the process may still give it away.  group: may be empty.  ERR_BUSY when
 * another process answers there. */
enum err control_bind(struct str path, struct str group, const struct identity *identity,
                      struct control **out, struct why *why) MUST_CHECK;
/* Starts to answer. */
enum err control_serve(struct control *control, struct loop *loop, struct commands *commands,
                       struct why *why) MUST_CHECK;
/* Ends all connections, cancels their calls, and removes the socket. */
void control_free(struct control **control);

#endif
