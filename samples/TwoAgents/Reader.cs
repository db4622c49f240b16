using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using Samples;

namespace TwoAgents;

/// <summary>Takes up what it is handed, reads, and shows what it was not handed. What the planner needs goes out as lines that begin with <see cref="Result"/>.</summary>
internal sealed class Reader(AgentSession session, string resource, Report report)
{
    public const string Result = "result ";

    private int decided;

    public async Task Work(CancellationToken cancellationToken)
    {
        string line = await Console.In.ReadLineAsync(cancellationToken) ?? throw new IOException("Nothing was handed over.");
        HandOff handOff = HandOff.Parse(line);
        if (handOff.Resource != resource) throw new IOException("What was handed over is for another tool server.");
        report.Step($"It was handed: {handOff.Purpose}");
        await OpensNothing(line, cancellationToken);

        await using AgentTask task = await session.AcceptHandOff(handOff, cancellationToken);
        report.Line($"task {task.Id}, below {task.View.ParentTask}, until {task.View.ExpiresAt:u}");
        AccessToken token = await task.GetToken(resource, cancellationToken);
        report.Step("Its token: the person's authority, this agent acting, the planner behind it");
        using (JsonDocument claims = report.Token(token.Value)) Chain(claims.RootElement);

        await using Tools tools = await Tools.Connect(task, resource, cancellationToken);
        report.Step("It reads what it was handed");
        string[] files = Files(handOff);
        var titles = new List<string>();
        foreach (string file in files)
        {
            string? text = (await Called(tools, "read_file", file, cancellationToken)).Text;
            report.Check(text is not null, $"read_file {file}", $"{text?.Length ?? 0} characters");
            titles.Add($"{file}: {text?.Split('\n')[0].TrimStart('#', ' ')}");
        }

        report.Step("It tries what the planner has and did not hand over");
        await Denied(tools, "read_file", "reports/q3.md", Names.Denials.ArgumentDenied, cancellationToken);
        await Denied(tools, "list_files", "reports", Names.Denials.NotInTask, cancellationToken);
        Console.WriteLine(Result + JsonSerializer.Serialize(new { task = task.Id, titles }));

        int ran = await tools.CallUntilRefused("read_file", files[0], cancellationToken);
        long refused = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        Console.WriteLine(Result + JsonSerializer.Serialize(new { refused_at = refused, calls = decided + ran }));
    }

    /// <summary>Whoever has the hand-off has no access by it: the token is the planner's, and so is the key that it is bound to.</summary>
    private async Task OpensNothing(string handOff, CancellationToken cancellationToken)
    {
        string stolen = JsonElement.Parse(handOff).GetProperty("subject_token").GetString()!;
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, resource) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("DPoP", stolen);
        request.Headers.Add("DPoP", DpopProof.Create(session.Key, "POST", new Uri(resource), stolen, TimeProvider.System.GetUtcNow(), nonce: null));
        using HttpResponseMessage answer = await http.SendAsync(request, cancellationToken);
        report.Check(answer.StatusCode == HttpStatusCode.Unauthorized, "the handed token itself, at the tool server", $"{(int)answer.StatusCode}, it is bound to the planner's key");
    }

    private void Chain(JsonElement claims)
    {
        JsonElement act = claims.GetProperty("act");
        string? subject = claims.GetProperty("sub").GetString(), actor = act.GetProperty("sub").GetString();
        string? behind = act.TryGetProperty("act", out JsonElement inner) ? inner.GetProperty("sub").GetString() : null;
        report.Check(actor == session.Agent && behind is not null && behind != actor, "the chain", $"{subject}, for them {actor}, handed off by {behind}");
    }

    private async Task Denied(Tools tools, string tool, string path, string expected, CancellationToken cancellationToken)
    {
        (string? text, string? code) = await Called(tools, tool, path, cancellationToken);
        report.Check(text is null && code == expected, $"{tool} {path}", code is null ? "not denied" : $"denied, {code}");
    }

    private async Task<(string? Text, string? Denied)> Called(Tools tools, string tool, string path, CancellationToken cancellationToken)
    {
        decided++;
        return await tools.Call(tool, path, cancellationToken);
    }

    // What it was handed says what to read.
    private static string[] Files(HandOff handOff) =>
    [
        .. handOff.AuthorizationDetails[0].GetProperty("tools").GetProperty("read_file").GetProperty("args").GetProperty("path").GetProperty("of").EnumerateArray()
            .Select(clause => clause.GetProperty("value").GetString()!),
    ];
}
