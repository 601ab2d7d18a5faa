"""The commands of the command line, a file a stage: one thin function each; heavy imports happen inside."""
