using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using Samples;

namespace TwoAgents;

/// <summary>Finds out what there is, and hands the reading of some of it to another agent.</summary>
internal sealed class Planner(AgentSession session, string resource, Report report)
{
    private const string Folder = "reports";
    // Five times what is promised for the end of access: a busy machine is not a broken promise.
    private static readonly TimeSpan Patience = 5 * Limits.RevocationBound;

    public async Task Work(string person, IReadOnlyList<string> readerCommand, CancellationToken cancellationToken)
    {
        BackchannelRequest question = await session.AskPerson(person, "summarise the reports", Authority(
            $$"""{"list_files":{{Under}},"read_file":{{Under}}}"""), bindingMessage: "Quarterly summary", cancellationToken: cancellationToken);
        report.Step($"It asks {person}, who is elsewhere, and waits for the answer");
        await using AgentTask task = await question.BeginTask(cancellationToken: cancellationToken);
        report.Line($"task {task.Id} for {task.View.User}, until {task.View.ExpiresAt:u}");

        string[] files;
        await using (Tools tools = await Tools.Connect(task, resource, cancellationToken))
        {
            using var listing = JsonDocument.Parse((await tools.Call("list_files", Folder, cancellationToken)).Text ?? "[]");
            files = [.. listing.RootElement.EnumerateArray().Where(e => e.GetProperty("kind").GetString() == "file").Select(e => e.GetProperty("path").GetString()!).Order(StringComparer.Ordinal)];
        }
        report.Check(files.Length > 2, $"list_files {Folder}", $"{files.Length} files");

        string[] part = files[..2];
        report.Step($"It hands the reading of {string.Join(" and ", part)} to the reader, and nothing else");
        HandOff handOff = await task.HandOff("read two reports", Authority($$"""{"read_file":{{AnyOf(part)}}}"""), cancellationToken: cancellationToken);
        report.Line(handOff.ToString());

        using Process reader = Start(readerCommand);
        await reader.StandardInput.WriteLineAsync(handOff.ToJson().AsMemory(), cancellationToken);
        reader.StandardInput.Close();
        try
        {
            JsonElement done = await Result(reader, cancellationToken);
            string child = done.GetProperty("task").GetString()!;
            report.Step("The reader's work has come back");
            foreach (JsonElement title in done.GetProperty("titles").EnumerateArray()) report.Line($"  {title.GetString()}");

            report.Step("The planner completes its task, while the reader goes on calling");
            await task.Complete("the summary is written", cancellationToken);
            long acknowledged = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
            JsonElement end = await Result(reader, cancellationToken);
            long late = Math.Max(0, end.GetProperty("refused_at").GetInt64() - acknowledged);
            report.Check(late <= Patience.TotalMilliseconds, "the reader's access", $"over {late} ms after the end was acknowledged");
            await reader.WaitForExitAsync(cancellationToken);
            report.Check(reader.ExitCode == 0, "the reader", $"ended with {reader.ExitCode}");

            report.Step("The story of the planner's task, the reader's part in it, as the server recorded it");
            await Story(task, child, end.GetProperty("calls").GetInt32(), cancellationToken);
        }
        finally
        {
            if (!reader.HasExited) reader.Kill();
        }
    }

    private static string Under => """{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}""";

    private static string AnyOf(string[] paths) => """{"args":{"path":{"constraint_type":"any","of":""" + JsonSerializer.Serialize(
        paths.Select(path => new { constraint_type = "exact", value = path })) + "}}}";

    private JsonElement Authority(string tools) => JsonElement.Parse(
        $$"""[{"type":"mcp_tool_call","locations":[{{JsonSerializer.Serialize(resource)}}],"actions":["tools/call"],"tools":{{tools}}}]""");

    private static Process Start(IReadOnlyList<string> command)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(command[0], [.. command.Skip(1)]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new IOException($"{command[0]} cannot be started: {e.Message}", e);
        }
    }

    /// <summary>Shows what the reader says until it has a result.</summary>
    private static async Task<JsonElement> Result(Process reader, CancellationToken cancellationToken)
    {
        while (await reader.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith(Reader.Result, StringComparison.Ordinal)) return JsonElement.Parse(line[Reader.Result.Length..]);
            Console.WriteLine($"    reader | {line}");
        }
        throw new IOException("The reader ended without a result.");
    }

    // Guards deliver their records in batches: the refusal after the end comes behind every decision.
    private async Task Story(AgentTask task, string child, int calls, CancellationToken cancellationToken)
    {
        TaskStory story;
        for (long start = Stopwatch.GetTimestamp(); ; await Task.Delay(100, cancellationToken))
        {
            story = await task.Story(cancellationToken);
            if (story.Events.Any(e => e.Type == AuditTypes.CallRefused && e.Task == child) || Stopwatch.GetElapsedTime(start) > Patience) break;
        }
        report.Story(story);
        AuditEvent[] decided = [.. story.Events.Where(e => e.Type == AuditTypes.CallDecided && e.Task == child)];
        // One call at most can have been under way when the guard heard of the end.
        report.Check(decided.Length - calls is 0 or 1, "calls of the reader decided and recorded", decided.Length.ToString(CultureInfo.InvariantCulture));
        report.Check(
            decided.All(e => e.User == task.View.User && e.Chain is [var actor, var giver] && actor != giver && giver == session.Agent),
            "whose authority, who acts, and for whom", $"{decided[0].User}, {string.Join(", for ", decided[0].Chain ?? [])}");
    }
}
