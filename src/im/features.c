#include "im/feature.h"

#include "im/archive.h"
#include "im/carbons.h"
#include "im/csi.h"
#include "im/gate.h"
#include "im/offline.h"
#include "im/presence.h"
#include "im/roster.h"

const struct feature *const features[] = {
    &feature_roster, // first: others read it
    &feature_presence,
    &feature_carbons,
    &feature_archive,
    &feature_offline,
    &feature_csi,
    &feature_gate,
    NULL,
};
