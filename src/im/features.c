/*
 * The list of features: adding one adds one line here, removing one removes
 * exactly that.
 */
#include "im/feature.h"

#include "im/adhoc.h"
#include "im/archive.h"
#include "im/blocking.h"
#include "im/caps.h"
#include "im/carbons.h"
#include "im/csi.h"
#include "im/decoys.h"
#include "im/disco.h"
#include "im/entity_time.h"
#include "im/gate.h"
#include "im/last.h"
#include "im/links.h"
#include "im/offline.h"
#include "im/ping.h"
#include "im/presence.h"
#include "im/private.h"
#include "im/registration.h"
#include "im/roster.h"
#include "im/session_request.h"
#include "im/upload.h"
#include "im/vcard.h"
#include "im/version.h"

const struct feature *const features[] = {
    &feature_roster,   // first: others read it
    &feature_decoys,   // before whatever looks at what a session is sent
    &feature_blocking, // what is refused concerns nobody below
    &feature_presence,
    &feature_carbons,
    &feature_archive,
    &feature_offline,
    &feature_links, // before whatever keeps a stanza for later
    &feature_csi,
    &feature_gate,
    &feature_disco,
    &feature_ping,
    &feature_last,
    &feature_version,
    &feature_time,
    &feature_private,
    &feature_vcard,
    &feature_upload,
    &feature_registration,
    &feature_session_request,
    &feature_adhoc,
    &feature_caps, // last: what it sends in another's place has passed all others
    NULL,
};
