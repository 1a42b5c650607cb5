#include "recording.h"

#include "guard.h"

struct recording_request {
    const struct trace *trace;
    struct recording *recording;
};

static void read_recording(void *context)
{
    const struct recording_request *request = context;
    const struct recvshim_control *control = request->trace->control;
    *request->recording = (struct recording){
        .tracing = atomic_load_explicit(&control->tracing, memory_order_relaxed) != 0,
        .events = atomic_load_explicit(&control->events, memory_order_relaxed),
        .controlled = atomic_load_explicit(&control->generation, memory_order_relaxed) != 0,
        .foreign = atomic_load_explicit(&request->trace->counters->foreign, memory_order_relaxed) != 0};
}

bool recording_look(const struct trace *trace, struct recording *recording)
{
    struct recording_request request = {trace, recording};
    return guard_run(trace, read_recording, &request);
}
