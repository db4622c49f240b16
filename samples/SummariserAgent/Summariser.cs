using System.Diagnostics;
using System.Net;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Samples;

namespace SummariserAgent;

/// <summary>The agent: takes up a task that is no larger than its work, does it, and shows what it cannot do.</summary>
internal sealed class Summariser(Assignment assignment, Report report)
{
    private const string Folder = Assignment.Folder;
    // Five times what is promised for the end of access: a busy machine is not a broken promise.
    private static readonly TimeSpan Patience = 5 * Limits.RevocationBound;

    /// <returns>0 when everything turned out as it should.</returns>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using AgentSession session = await assignment.Attest(cancellationToken);
        await using AgentTask task = await assignment.Begin(session, cancellationToken);
        report.Line($"task {task.Id}, until {task.View.ExpiresAt:u}");

        AccessToken token = await task.GetToken(assignment.Resource, cancellationToken);
        report.Step("Its token: one audience, one task, these tools with these arguments, five minutes at most");
        using (JsonDocument claims = report.Token(token.Value)) assignment.Identity(claims.RootElement, session, task);

        await using McpClient mcp = await assignment.Connect(task, cancellationToken);

        int decided = await Work(mcp, cancellationToken);
        decided += await Overreach(mcp, cancellationToken);
        decided += await End(task, mcp, token, cancellationToken);

        report.Step("The story of the task, as the server recorded it");
        TaskStory story = await Story(task, decided, cancellationToken);
        report.Story(story);
        int recorded = Decisions(story), cutOff = recorded - decided;
        // One call at most can have been under way when the guard heard of the end: decided, begun, and its answer withheld.
        report.Check(
            cutOff is 0 or 1, "calls decided and recorded", cutOff == 0 ? $"{recorded}, all of them answered" : $"{recorded}, {decided} of them answered; the answer of the last was withheld, because the task had ended");
        foreach (string failure in report.Failures) await Console.Error.WriteLineAsync($"not as it should be: {failure}");
        return report.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Begins one more task for the person, and calls until somebody ends it.</summary>
    /// <returns>0 when access ended.</returns>
    public async Task<int> WorkUntilEndedAsync(CancellationToken cancellationToken)
    {
        await using AgentSession session = await assignment.Attest(cancellationToken);
        await using AgentTask task = await assignment.Begin(session, cancellationToken);
        await using McpClient mcp = await assignment.Connect(task, cancellationToken);
        report.Line($"task {task.Id}: reading {Folder}/q1.md again and again");
        for (int ran = 0; ; ran++)
        {
            CallToolResult? result = null;
            try
            {
                result = await mcp.CallToolAsync("read_file", Arguments("path", $"{Folder}/q1.md"), cancellationToken: cancellationToken);
            }
            catch (Exception e) when (Unauthorized(e))
            {
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                continue; // cut off half-way: the next call tells
            }
            if (result is { IsError: not true })
            {
                await Task.Delay(5, cancellationToken);
                continue;
            }
            report.Line($"refused after {ran} calls, at {TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()} ms");
            return await NoNewToken(task, cancellationToken) ? 0 : 1;
        }
    }

    // The actual work: every call is decided and recorded by the guard before the tool sees it.
    private async Task<int> Work(McpClient mcp, CancellationToken cancellationToken)
    {
        report.Step($"It summarises {Folder}");
        CallToolResult listing = await mcp.CallToolAsync("list_files", Arguments("path", Folder), cancellationToken: cancellationToken);
        if (listing.IsError == true)
        {
            report.Check(false, $"list_files {Folder}", Text(listing));
            return 1;
        }
        using var entries = JsonDocument.Parse(Text(listing));
        string[] files = [.. entries.RootElement.EnumerateArray().Where(e => e.GetProperty("kind").GetString() == "file").Select(e => e.GetProperty("path").GetString()!)];

        List<string> texts = [];
        foreach (string file in files)
        {
            CallToolResult result = await mcp.CallToolAsync("read_file", Arguments("path", file), cancellationToken: cancellationToken);
            report.Check(result.IsError != true, $"read_file {file}", result.IsError == true ? Text(result) : $"{Text(result).Length} characters");
            if (result.IsError != true) texts.Add(Text(result));
        }
        report.Check(texts.Count > 0, "reports read", $"{texts.Count} of {files.Length}");
        foreach ((string title, IReadOnlyList<string> sentences) in Summary.Of(texts, sentencesEach: 2))
        {
            report.Line("");
            report.Line(title);
            foreach (string sentence in sentences) report.Line($"  {sentence}");
        }
        return 1 + files.Length;
    }

    // What an agent does that was talked into something: the files are there, the token is good, and it is denied.
    private async Task<int> Overreach(McpClient mcp, CancellationToken cancellationToken)
    {
        report.Step("It tries what its task does not hold");
        await Denied(mcp, "read_file", "private/salaries.txt", Names.Denials.ArgumentDenied, cancellationToken);
        await Denied(mcp, "delete_file", $"{Folder}/q1.md", Names.Denials.NotInTask, cancellationToken);
        return 2;
    }

    private async Task Denied(McpClient mcp, string tool, string path, string expected, CancellationToken cancellationToken)
    {
        CallToolResult result = await mcp.CallToolAsync(tool, Arguments("path", path), cancellationToken: cancellationToken);
        string? code = result.Meta?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>();
        report.Check(result.IsError == true && code == expected, $"{tool} {path}", code is null ? $"not denied: {Text(result)}" : $"denied, {code}");
    }

    private async Task<int> End(AgentTask task, McpClient mcp, AccessToken token, CancellationToken cancellationToken)
    {
        report.Step("It completes the task and calls once more");
        TaskView view = await task.Complete("the summary is written", cancellationToken);
        long acknowledged = Stopwatch.GetTimestamp();
        TimeSpan left = token.ExpiresAt - TimeProvider.System.GetUtcNow();
        report.Line($"the server has acknowledged: {view.State}; the token would have lived {left.TotalSeconds:0} s longer");

        // Whatever comes back as a result was decided by the guard, so it belongs to the story.
        int ran = 0, decided = 0;
        TimeSpan? refused = null;
        while (refused is null && Stopwatch.GetElapsedTime(acknowledged) < Patience)
        {
            try
            {
                CallToolResult result = await mcp.CallToolAsync("read_file", Arguments("path", $"{Folder}/q1.md"), cancellationToken: cancellationToken);
                decided++;
                if (result.IsError == true) refused = Stopwatch.GetElapsedTime(acknowledged);
                else ran++;
                await Task.Delay(5, cancellationToken);
            }
            catch (Exception e) when (Unauthorized(e))
            {
                refused = Stopwatch.GetElapsedTime(acknowledged);
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // The end came while the answer was on its way, and cut it off: the next call tells.
            }
        }
        report.Check(
            refused is not null, "read_file with the same token",
            refused is { } after ? $"refused {after.TotalMilliseconds:0} ms after the end was acknowledged, after {ran} call(s) that still ran" : $"still runs after {Patience.TotalSeconds:0} s");

        await NoNewToken(task, cancellationToken);
        return decided;
    }

    private async Task<bool> NoNewToken(AgentTask task, CancellationToken cancellationToken)
    {
        try
        {
            await task.GetToken(assignment.Resource, cancellationToken);
            report.Check(false, "a new token for the task", "issued");
            return false;
        }
        catch (OAuthErrorException e)
        {
            // Its own task has ended; of what a person handed over, also the refresh tokens are gone.
            bool ended = e.Reason is Names.Reasons.TaskEnded or Names.Reasons.Revoked;
            report.Check(ended, "a new token for the task", $"refused, {e.Reason ?? e.Error}");
            return ended;
        }
    }

    // Guards deliver their records in batches, in the order in which they were made: the refusal after the end comes behind every decision.
    private static async Task<TaskStory> Story(AgentTask task, int decided, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            TaskStory story = await task.Story(cancellationToken);
            if ((Decisions(story) >= decided && story.Events.Any(e => e.Type == AuditTypes.CallRefused)) || Stopwatch.GetElapsedTime(start) > Patience) return story;
            await Task.Delay(100, cancellationToken);
        }
    }

    private static int Decisions(TaskStory story) => story.Events.Count(e => e.Type == AuditTypes.CallDecided);

    private static Dictionary<string, object?> Arguments(string name, string value) => new() { [name] = value };

    private static string Text(CallToolResult result) => string.Join('\n', result.Content.OfType<TextContentBlock>().Select(b => b.Text));

    private static bool Unauthorized(Exception? e) => e is HttpRequestException { StatusCode: HttpStatusCode.Unauthorized } or OAuthErrorException
        || (e?.InnerException is { } inner && Unauthorized(inner));
}
