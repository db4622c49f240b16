using FakeUpstream;

// fake DIRECTORY: a stdio server of MCP 2025-11-25 written by hand, so that it can misbehave; it keeps what it was sent in the directory.
// fake --modern: one of MCP 2026-07-28, by the SDK, whose list of tools changes.
if (args is ["--modern"]) await Modern.Run();
else await new Scripted(args[0]).Run();
