#include "commands.h"
#include "host.h"

int tool_inspect(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return tool_usage("not yet");
}
