#include "checkpoint_origin.h"

static rmr_checkpoint_origin *of(rmr_origin *o)
{
    return (rmr_checkpoint_origin *)o;
}

void rmr_checkpoint_origin_free(rmr_origin *o)
{
    rmr_checkpoint_free(of(o)->ck);
}

remora_status rmr_checkpoint_origin_list(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    const rmr_checkpoint *ck = of(o)->ck;
    return ck != NULL ? rmr_metadata_add_tensors(o->mem, meta, ck, err) : REMORA_OK;
}

void rmr_checkpoint_origin_settle(rmr_origin *o)
{
    rmr_checkpoint_free(of(o)->ck);
    of(o)->ck = NULL;
    o->ck = NULL;
}
