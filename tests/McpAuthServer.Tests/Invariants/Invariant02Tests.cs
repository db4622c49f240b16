using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Invariants;

/// <summary>2. Authority only narrows: random trees of tasks, continuations and hand-offs, over HTTP.</summary>
public sealed class Invariant02Tests(TestServer server) : IClassFixture<TestServer>
{
    private const int Steps = 220;

    private static readonly string[] Tools = ["list_files", "read_file", "delete_file"];

    private static readonly string[] Definitions =
    [
        """{}""", """{}""", """{"max_calls":4}""", """{"max_calls":9}""",
        """{"args":{"path":{"constraint_type":"path_under","value":"/a"},"limit":{"constraint_type":"range","max":50}},"optional":["limit"]}""",
        """{"args":{"path":{"constraint_type":"path_under","value":"/a/b"}}}""",
        """{"args":{"path":{"constraint_type":"path_under","value":"/a/b"}},"max_calls":2}""",
        """{"args":{"path":{"constraint_type":"exact","value":"/a/b/f"}}}""",
        """{"args":{"path":{"constraint_type":"one_of","values":["/a/b/f","/d/f"]}}}""",
        """{"args":{"path":{"constraint_type":"path_under","value":"/a"},"limit":{"constraint_type":"range","max":5}}}""",
        """{"args":{"path":{"constraint_type":"prefix","value":"/d"}}}""",
    ];

    /// <summary>Calls that an authority admits or not: the oracle that knows nothing of the subset rule.</summary>
    private static readonly JsonElement[] Calls =
    [
        .. from path in new[] { null, "/a/x", "/a/b/f", "/a/b/c/f", "/d/f", "/dd", "/e" }
           from limit in new int?[] { null, 1, 5, 6, 50, 51 }
           from more in new[] { false, true }
           select Arguments(path, limit, more),
    ];

    private sealed record Held(TestAgent Agent, string Token, JsonElement Claims, Authority Authority, Held? Parent)
    {
        public string Task => Claims.GetProperty("task").GetProperty("id").GetString()!;

        public long TaskEnd => Claims.GetProperty("task").GetProperty("expires_at").GetInt64();

        public long End => Claims.GetProperty("exp").GetInt64();

        public string Grant => Claims.GetProperty("grant").GetString()!;

        public IReadOnlyList<string> Chain
        {
            get
            {
                var chain = new List<string>();
                for (var at = Claims; at.TryGetProperty("act", out var act); at = act)
                    chain.Add(act.GetProperty("sub").GetString()!);
                return [.. chain, Claims.GetProperty("sub").GetString()!];
            }
        }

        public HashSet<string> Lineage => [.. Claims.GetProperty("lineage").EnumerateArray().Select(e => e.GetString()!)];
    }

    [Fact]
    public async Task Invariant02_AuthorityOnlyNarrows_NoTokenOfARandomTreeExceedsParentTaskOrCeilings()
    {
        var seed = RandomNumberGenerator.GetInt32(int.MaxValue);
        try
        {
            await RunAsync(new Random(seed));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed.ToString(CultureInfo.InvariantCulture)}", e);
        }
    }

    private async Task RunAsync(Random random)
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 4);
        var ceilings = new Dictionary<string, Authority>();
        for (var i = 0; i < s.Agents.Count; i++)
        {
            // The first agents may do nearly anything; the others are bounded in different ways.
            var ceiling = i < 2 ? s.Details(Tools) : Random(s, random, Tools);
            s.File["agents"]![i]!["ceiling"] = ceiling.DeepClone();
            s.File["agents"]![i]!["hand_off_to"] = new JsonArray([.. s.Agents.Where((_, other) => other != i).Select(a => a.Id)]);
            ceilings[s.Agents[i].Id] = Parse(ceiling);
        }
        await server.ApplyAsync(s.File.ToJsonString());
        foreach (var agent in s.Agents)
            await agent.AttestAsync();

        var tasks = new Dictionary<string, (Authority Authority, long End, string? Parent)>();
        var held = new List<Held>();
        int issued = 0, refused = 0, handedOff = 0, deepest = 0;
        for (var step = 0; step < Steps; step++)
        {
            var now = server.Time.GetUtcNow().ToUnixTimeSeconds();
            held.RemoveAll(h => h.End <= now);
            var agent = s.Agents[random.Next(s.Agents.Count)];
            var parent = held.Count > 0 ? held[random.Next(held.Count)] : null;
            var action = random.Next(10);
            if (action == 0)
            {
                server.Time.Advance(TimeSpan.FromSeconds(random.Next(1, 60)));
                await agent.AttestAsync();
                continue;
            }
            Held? given = null;
            HttpResponseMessage answer;
            TestAgent presenter;
            if (action <= 3 || parent is null)
            {
                // A new task, perhaps below one of its own, and a token for part of it.
                presenter = agent;
                var details = Random(s, random, Tools);
                var above = tasks.Where(t => t.Value.Parent is null && held.Any(h => h.Task == t.Key && h.Agent == agent && h.Parent is null)).Select(t => t.Key).FirstOrDefault();
                var below = random.Next(2) == 0 ? above : null;
                var created = await agent.BeginTaskRawAsync(details, change: b =>
                {
                    b["parent_task"] = below;
                    if (random.Next(3) == 0)
                        b["expires_at"] = server.Time.GetUtcNow().AddSeconds(random.Next(30, 5000)).ToString("O");
                });
                if (!created.IsSuccessStatusCode)
                {
                    refused++;
                    continue;
                }
                var view = await created.ReadAsync(ProtocolJson.Default.TaskView);
                tasks[view.Id] = (Parse(details), view.ExpiresAt.ToUnixTimeSeconds(), below);
                if (below is not null)
                {
                    Within(Parse(details), tasks[below].Authority, "its parent task");
                    Assert.True(tasks[view.Id].End <= tasks[below].End);
                }
                var asked = random.Next(2) == 0 ? (JsonArray)details.DeepClone() : Random(s, random, Tools);
                asked[0]!["task"] = new JsonObject { ["id"] = view.Id };
                answer = await agent.ExchangeRawAsync(agent.ExchangeForm(details: asked));
            }
            else
            {
                // A continuation by who holds it, or a hand-off to somebody else; asking for all, for something, or by scope.
                given = parent;
                presenter = random.Next(3) == 0 || agent == parent.Agent ? parent.Agent : agent;
                var handOff = presenter != parent.Agent;
                var form = presenter.ExchangeForm(parent.Token, handOff, random.Next(3) switch { 0 => null, 1 => Narrower(s, random, parent.Authority), _ => Random(s, random, Tools) });
                if (random.Next(4) == 0)
                    form["scope"] = "tool:" + Tools[random.Next(Tools.Length)];
                answer = await presenter.ExchangeRawAsync(form);
            }
            if (!answer.IsSuccessStatusCode)
            {
                Assert.True((int)answer.StatusCode < 500, await answer.Content.ReadAsStringAsync());
                refused++;
                continue;
            }
            var token = (await answer.ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken;
            var claims = Answers.Claims(token);
            var child = new Held(presenter, token, claims, Authority.Parse(claims.GetProperty("authorization_details"), allowTask: true).Value, given);
            held.Add(child);
            issued++;
            Check(s, child, ceilings, tasks);
            if (child.Parent is { } p && child.Agent != p.Agent)
                handedOff++;
            deepest = Math.Max(deepest, child.Chain.Count - 1);
        }
        // The walk was worth something.
        Assert.True(issued >= 40 && refused >= 20 && handedOff >= 8 && deepest >= 2, $"{issued} issued, {refused} refused, {handedOff} handed off, chains of {deepest}");
    }

    private static void Check(Scenario s, Held child, Dictionary<string, Authority> ceilings, Dictionary<string, (Authority Authority, long End, string? Parent)> tasks)
    {
        Assert.Equal(s.Resource, child.Claims.GetProperty("aud").GetString());
        Assert.True(child.End <= child.TaskEnd);
        // Every agent that had a hand in it.
        foreach (var id in child.Chain)
            Within(child.Authority, ceilings[id], $"the ceiling of {id}");
        Assert.True(child.Chain.Count - 1 <= 4);
        if (child.Parent is not { } parent)
        {
            Within(child.Authority, tasks[child.Task].Authority, "its task");
            Assert.Equal(tasks[child.Task].End, child.TaskEnd);
            return;
        }
        Within(child.Authority, parent.Authority, "its parent");
        Assert.True(child.TaskEnd <= parent.TaskEnd);
        var handOff = child.Agent != parent.Agent;
        Assert.Equal(handOff ? [child.Agent.Id, .. parent.Chain] : parent.Chain, child.Chain);
        Assert.Equal(!handOff, child.Task == parent.Task);
        // What kills the parent kills the child: its grant is the same or named above, and so is all above it.
        Assert.True(parent.Lineage.IsSubsetOf(child.Lineage));
        Assert.True(child.Grant == parent.Grant || child.Lineage.Contains(parent.Grant));
        Assert.True(child.Task == parent.Task || child.Lineage.Contains(parent.Task));
        // Up to the root: narrower than every ancestor, by calls, not by the rule that issued it.
        for (var above = parent; above is not null; above = above.Parent)
            Within(child.Authority, above.Authority, "an ancestor");
    }

    private static void Within(Authority child, Authority parent, string what)
    {
        Assert.True(child.Exceeds(parent) is null, $"the subset rule: more than {what}");
        foreach (var location in child.Locations)
        {
            var above = parent.At(location.Location);
            Assert.True(above is not null && location.Actions.IsSubsetOf(above.Actions), what);
            foreach (var (name, tool) in location.Tools)
            {
                Assert.True(above.Tools.TryGetValue(name, out var held), $"{name} is not in {what}");
                Assert.True(held.MaxCalls is null || tool.MaxCalls <= held.MaxCalls, $"more calls of {name} than {what}");
                foreach (var call in Calls)
                    Assert.True(tool.Denies(call) is not null || held.Denies(call) is null, $"{name} {call} is admitted beyond {what}");
            }
        }
    }

    private static JsonArray Random(Scenario s, Random random, string[] among)
    {
        var tools = among.Where(_ => random.Next(3) > 0).DefaultIfEmpty("read_file").ToArray();
        var details = s.Details(tools);
        foreach (var tool in tools)
            details.With(tool, JsonNode.Parse(Definitions[random.Next(Definitions.Length)])!.AsObject());
        return details;
    }

    /// <summary>Mostly within what is held: some of its tools as they are, some made narrower by a call limit.</summary>
    private static JsonArray Narrower(Scenario s, Random random, Authority held)
    {
        var details = JsonNode.Parse(held.ToJson())!.AsArray();
        var tools = details[0]!["tools"]!.AsObject();
        foreach (var name in tools.Select(t => t.Key).ToList())
            if (tools.Count > 1 && random.Next(3) == 0)
                tools.Remove(name);
            else if (random.Next(3) == 0)
                tools[name]!["max_calls"] = random.Next(1, 6);
        return details;
    }

    private static Authority Parse(JsonArray details) => Authority.Parse(JsonElement.Parse(details.ToJsonString())).Value;

    private static JsonElement Arguments(string? path, int? limit, bool more)
    {
        var call = new JsonObject();
        if (path is not null)
            call["path"] = path;
        if (limit is not null)
            call["limit"] = limit;
        if (more)
            call["more"] = true;
        return JsonElement.Parse(call.ToJsonString());
    }
}
