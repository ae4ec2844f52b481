#include "commands.h"
#include "host.h"

int tool_tokenize_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return tool_usage("not yet");
}
