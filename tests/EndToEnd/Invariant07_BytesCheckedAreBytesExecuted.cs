using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;

namespace McpAuth.EndToEnd;

[Collection(Installation.Name)]
[Trait("Spec", "Invariant-7")]
public sealed class Invariant07_BytesCheckedAreBytesExecuted(Installation installation)
{
    private const string Narrow =
        """{"write_file":{"args":{"path":{"constraint_type":"path_under","value":"drafts"},"content":{"constraint_type":"wildcard"},"overwrite":{"constraint_type":"exact","value":false}}}}""";

    private readonly Deployment deployment = installation.Deployment;
    private readonly GuardedServer files = installation.Deployment.Servers[0];

    [Fact]
    [Trait("Attack", "132")]
    [Trait("Attack", "133")]
    public async Task MessageThatTwoReadersCouldReadInTwoWays_Is400AndNothingRuns()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("write drafts", deployment.Authority(Narrow, [files]));
        using RawCaller caller = await files.CallerAsync(session, task);
        const string Good = """{"path":"drafts/double.md","content":"x"}""", Evil = """{"path":"private/double.md","content":"x"}""";
        string[] messages =
        [
            Call($$""" "name":"write_file","arguments":{{Good}},"arguments":{{Evil}} """),
            Call($$""" "name":"write_file","arguments":{{Evil}},"arguments":{{Good}} """),
            Call($$""" "name":"write_file","arguments":{{Good}},"Arguments":{{Evil}} """),
            Call($$""" "name":"write_file","arguments":{{Good}},"\u0061rguments":{{Evil}} """),
            Call($$""" "name":"write_file","name":"delete_file","arguments":{{Good}} """),
            Call($$""" "name":"write_file","NAME":"delete_file","arguments":{{Good}} """),
            Call(""" "name":"write_file","arguments":{"path":"drafts/double.md","path":"private/double.md","content":"x"} """),
            Call(""" "name":"write_file","arguments":{"path":"drafts/double.md","\u0070ath":"private/double.md","content":"x"} """),
            Call(""" "name":"write_file","arguments":{"path":"drafts/double.md","Path":"private/double.md","content":"x"} """),
            """{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"write_file","arguments":{"path":"drafts/double.md","content":"x"}}}""",
            Call($$""" "name":"write_file","arguments":{{Good}} """)[..^1] + $",\"Params\":{{\"name\":\"delete_file\",\"arguments\":{Evil}}}}}",
            $"[{Call($$""" "name":"write_file","arguments":{{Good}} """)}]",
            Call($$""" "name":"write_file","arguments":{{Good}} """) + Call($$""" "name":"write_file","arguments":{{Evil}} """),
            "\uFEFF\uFEFF" + Call($$""" "name":"write_file","arguments":{{Good}} """),
        ];
        foreach (string message in messages)
        {
            Answer answer = await caller.SendAsync(message);
            Assert.True(answer.Status == 400, $"{answer} for {message}");
        }
        Assert.False(Directory.Exists(files.File("drafts")), "Something ran.");
        Assert.False(File.Exists(files.File("private/double.md")));

        // The guard has not simply stopped answering.
        Assert.True((await caller.CallAsync("write_file", Good)).Ran);
        Assert.Equal("x", await File.ReadAllTextAsync(files.File("drafts/double.md")));
        Directory.Delete(files.File("drafts"), recursive: true);
    }

    [Fact]
    public async Task AbsentArgument_IsDecidedOnRecordedAndExecutedAsItsDefault()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask narrow = await session.BeginTask(
            "list reports", deployment.Authority("""{"list_files":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}""", [files]));
        using (RawCaller caller = await files.CallerAsync(session, narrow))
        {
            // Left out, the path is the top folder, which the task does not hold.
            Assert.Equal(Names.Denials.ArgumentDenied, (await caller.CallAsync("list_files", "{}")).Denial);
            Assert.True((await caller.CallAsync("list_files", """{"path":"reports"}""")).Ran);
        }

        await using AgentTask wide = await session.BeginTask("list all", deployment.Authority("""{"list_files":{}}""", [files]));
        using RawCaller any = await files.CallerAsync(session, wide);
        Answer absent = await any.CallAsync("list_files", "{}"), spelled = await any.CallAsync("list_files", """{"p\u0061th":""}""");
        Assert.True(absent.Ran && spelled.Ran);
        Assert.Contains("salaries", (await any.CallAsync("list_files", """{"path":"private"}""")).Text, StringComparison.Ordinal);
        Assert.Equal(absent.Text, spelled.Text);

        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(wide, e => e.Count(f => f.Type == AuditTypes.CallDecided) == 3);
        string?[] digests = [.. story.Where(e => e.Type == AuditTypes.CallDecided).Select(e => e.ArgsDigest)];
        Assert.All(digests, Assert.NotNull);
        Assert.Equal(digests[0], digests[1]);
        Assert.NotEqual(digests[0], digests[2]);
    }

    [Fact]
    public async Task EscapesAndUnknownMembers_TheHandlerGetsTheDecidedValueAndNothingElse()
    {
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("write drafts", deployment.Authority(Narrow, [files]));
        using RawCaller caller = await files.CallerAsync(session, task);
        Answer first = await caller.SendAsync(
            """  {"params":{"arguments":{"content":"\u0061\ud83d\ude00","path":"dr\u0061fts\/one.md"},"name":"write\u005ffile","more":1},"id":"a","method":"tools\/call","jsonrpc":"2.0"}  """);
        Assert.True(first.Ran, first.ToString());
        Assert.Equal("a😀", await File.ReadAllTextAsync(files.File("drafts/one.md")));
        // The default of what was left out is what was decided on: no overwriting.
        Answer second = await caller.CallAsync("write_file", """{"path":"drafts/one.md","content":"again"}""");
        Assert.True(second.Body!["result"]!["isError"]!.GetValue<bool>());
        Assert.Equal("a😀", await File.ReadAllTextAsync(files.File("drafts/one.md")));
        Directory.Delete(files.File("drafts"), recursive: true);
    }

    private static string Call(string parameters) => $$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{{parameters}}}}}""";
}
