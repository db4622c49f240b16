using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Exchange.Trees;

/// <summary>One world of agents, hand-offs, tool servers and edges, and a random walk through it over HTTP; every token that comes of it is checked.</summary>
internal sealed partial class TreeWalk
{
    private readonly TestServer server;
    private readonly Random random;
    private readonly AuthorityDraw draw;
    private readonly KnownWorld world = new();
    private readonly List<(IssuedToken Token, TestAgent? Agent)> held = [];
    private readonly List<(string Refresh, IssuedToken Token, TestAgent Agent)> lines = [];
    private readonly Dictionary<string, TestGuard> guards = [];
    // What each agent may ever do when nobody has lowered it.
    private readonly List<JsonArray> ceilings = [];
    private Scenario s = null!, there = null!;
    private PersonFlow person = null!;

    private TreeWalk(TestServer server, Random random) => (this.server, this.random, draw) = (server, random, new(random));

    /// <summary>Exchanges that were tried and those that were granted, by kind.</summary>
    public Dictionary<string, (int Tried, int Granted)> Counts { get; } = [];
    public int Deepest { get; private set; }
    public int Looked { get; private set; }

    private long Now => server.Time.GetUtcNow().ToUnixTimeSeconds();

    public static async Task<TreeWalk> RunAsync(TestServer server, int seed, int steps)
    {
        var walk = new TreeWalk(server, new Random(seed));
        await walk.BuildAsync();
        for (var step = 0; step < steps; step++)
            await walk.StepAsync();
        await walk.LookAsync();
        return walk;
    }

    private async Task BuildAsync()
    {
        (s, there) = (await server.ScenarioAsync(o => o.FurtherAgents = 5), await server.ScenarioAsync());
        string[] resources = [s.Resource, there.Resource];
        for (var i = 0; i < s.Agents.Count; i++)
        {
            // The first may do nearly anything, anywhere, for a day; the others are bounded in different ways: tools, arguments, tool servers, time.
            var ceiling = new JsonArray([.. resources.Where(_ => i < 3 || random.Next(4) > 0).DefaultIfEmpty(s.Resource)
                .Select(r => (JsonNode)(i < 3 ? AuthorityDraw.Entry(r, AuthorityDraw.Tools.ToDictionary(t => t, _ => new JsonObject())) : draw.Entry(r)))]);
            ceilings.Add(ceiling);
            world.LongestTask[s.Agents[i].Id] = i < 2 ? 24 * 3600 : random.Next(200, 3600);
            var takers = s.Agents.Where((_, other) => other != i && (other == i + 1 || random.Next(3) > 0)).Select(a => a.Id).ToHashSet();
            (world.Ceilings[s.Agents[i].Id], world.HandOffs[s.Agents[i].Id]) = (ceiling, takers);
            s.File["agents"]![i]!["ceiling"] = ceiling.DeepClone();
            s.File["agents"]![i]!["max_task_seconds"] = world.LongestTask[s.Agents[i].Id];
            s.File["agents"]![i]!["hand_off_to"] = new JsonArray([.. takers.Select(t => (JsonNode?)t)]);
        }
        var edges = new JsonArray();
        foreach (var (from, to) in new[] { (s, there), (there, s) })
            foreach (var tool in AuthorityDraw.Tools.Where(_ => random.Next(3) > 0))
            {
                var tools = AuthorityDraw.Tools.Where(_ => random.Next(2) == 0).DefaultIfEmpty("read_file").ToArray();
                world.Edges[(from.Resource, tool, to.Resource)] = tools;
                edges.Add(new JsonObject
                {
                    ["from"] = new JsonObject { ["server"] = from.ToolServer, ["tool"] = tool },
                    ["to"] = new JsonObject { ["server"] = to.ToolServer, ["tools"] = new JsonArray([.. tools.Select(t => (JsonNode?)t)]) },
                });
            }
        await server.ApplyAsync(s.File.ToJsonString());
        await server.ApplyAsync(new JsonObject { ["edges"] = edges }.ToJsonString());
        foreach (var agent in s.Agents)
            await AttestAsync(agent);
        (guards[s.Resource], guards[there.Resource]) = (await TestGuard.OfAsync(s), await TestGuard.OfAsync(there));
        person = new PersonFlow(s);
    }

    private async Task StepAsync()
    {
        held.RemoveAll(h => h.Token.Expires <= Now);
        switch (random.Next(24))
        {
            case 0 or 1: await DelegateAsync(); break;
            case 2 or 3: await BeginAsync(); break;
            case 4 or 5 or 6: await ContinueAsync(); break;
            case 7 or 8 or 9 or 10 or 11: await HandOffAsync(); break;
            case 12 or 13 or 14: await DownstreamAsync(); break;
            case 15 or 16: await RefreshAsync(); break;
            case 17 or 18: await PassAsync(); break;
            case 19 or 20: await MoveCeilingAsync(); break;
            case 21 or 22: await AgainAsync(); break;
            default: await EndAsync(); break;
        }
    }

    /// <summary>A person hands a part of what an agent asked for to it, which exchanges that: for all, for less, for what was left out or for more than it asked for.</summary>
    private async Task DelegateAsync()
    {
        var agent = s.Agents[random.Next(2) == 0 ? random.Next(2) : random.Next(s.Agents.Count)];
        if (world.SuspendedAgents.Contains(agent.Id) || world.DisabledUsers.Count > 0)
            return;
        var may = world.Ceilings[agent.Id];
        var wanted = may.Where(_ => random.Next(4) > 0).DefaultIfEmpty(may[0]).Select(e => draw.Within(e!.AsObject())).ToList();
        var until = server.Time.GetUtcNow().AddSeconds(random.Next(60, Math.Min(7200, world.LongestTask[agent.Id])));
        var request = new JsonArray([.. wanted.Select(e => (JsonNode?)e.DeepClone())]);
        foreach (var entry in request)
            entry!["task"] = new JsonObject { ["purpose"] = "p", ["expires_at"] = until.ToString("O") };
        var without = wanted.SelectMany(e => e["tools"]!.AsObject().Select(t => (At: (string)e["locations"]![0]!, Tool: t.Key))).Where(_ => random.Next(5) == 0).ToList();
        var given = wanted.Select(e => AuthorityDraw.Without(e, [.. without.Where(w => w.At == (string)e["locations"]![0]!).Select(w => w.Tool)])).OfType<JsonObject>().ToList();
        if (given.Count == 0)
            return;
        var code = await person.CodeAsync(s.AuthorizeQuery(agent, request), [.. without.Select(w => $"{w.At} tool:{w.Tool}")]);
        var delegation = (await (await person.DelegateRawAsync(code, agent)).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken;
        var asked = random.Next(6) == 0 ? wanted[random.Next(wanted.Count)].DeepClone().AsObject() : Asked(given[random.Next(given.Count)], agent);
        var (resumable, ends) = (false, until.ToUnixTimeSeconds());
        if (asked is not null && random.Next(2) == 0)
        {
            var (terms, other) = (new JsonObject { ["purpose"] = "p" }, server.Time.GetUtcNow().AddSeconds(random.Next(30, 9000)));
            if (resumable = random.Next(2) == 0)
                terms["resumable"] = true;
            // Sooner counts; later does not.
            if (random.Next(2) == 0)
                (terms["expires_at"], ends) = (other.ToString("O"), Math.Min(ends, other.ToUnixTimeSeconds()));
            asked["task"] = terms;
        }
        var form = agent.ExchangeForm(delegation, withActor: true, asked is null ? null : [asked]);
        form["resource"] = (string)(asked ?? given[0])["locations"]![0]!;
        await TryAsync("delegation", agent, null, () => agent.ExchangeRawAsync(form), token =>
            Begin(new(token.Task, null, agent.Id, agent.Instance, s.User, [.. given.Select(e => e.DeepClone())], ends, resumable)));
    }

    /// <summary>A task of an agent's own, perhaps below another, and a token for part of it.</summary>
    private async Task BeginAsync()
    {
        var agent = s.Agents[random.Next(s.Agents.Count)];
        var ceiling = world.Ceilings[agent.Id][random.Next(world.Ceilings[agent.Id].Count)]!.AsObject();
        var resource = (string)ceiling["locations"]![0]!;
        var parent = world.Tasks.Values.Where(t => t.Agent == agent.Id && t is { User: null, Parent: null, Stopped: false } && t.Ends > Now && t.Details.Any(e => (string)e!["locations"]![0]! == resource))
            .OrderBy(_ => random.Next()).FirstOrDefault(_ => random.Next(2) == 0);
        var entry = parent is null ? draw.Within(ceiling) : Asked(parent.Details.First(e => (string)e!["locations"]![0]! == resource)!.AsObject(), agent) ?? draw.Entry(resource);
        var resumable = random.Next(3) == 0;
        var created = await agent.BeginTaskRawAsync([entry.DeepClone()], change: b =>
        {
            b["parent_task"] = parent?.Id;
            if (resumable)
                b["resumable"] = true;
            if (random.Next(2) == 0)
                b["expires_at"] = server.Time.GetUtcNow().AddSeconds(random.Next(30, Math.Min(7000, world.LongestTask[agent.Id] + 300))).ToString("O");
        });
        Count("task", created.IsSuccessStatusCode);
        if (!created.IsSuccessStatusCode)
            return;
        var view = await created.ReadAsync(ProtocolJson.Default.TaskView);
        Begin(new(view.Id, parent?.Id, agent.Id, agent.Instance, null, [entry], view.ExpiresAt.ToUnixTimeSeconds(), resumable));
        await OfTaskAsync("own", agent, view.Id, entry);
    }

    /// <summary>With its instance token alone an agent asks for a token of a task that runs, its own or not.</summary>
    private Task AgainAsync()
    {
        var agent = s.Agents[random.Next(s.Agents.Count)];
        var task = world.Tasks.Values.Where(t => t.Agent == agent.Id && t.Ends > Now).OrderBy(_ => random.Next()).FirstOrDefault();
        return task is null ? Task.CompletedTask : OfTaskAsync("again", agent, task.Id, task.Details[random.Next(task.Details.Count)]!.AsObject());
    }

    private async Task OfTaskAsync(string kind, TestAgent agent, string task, JsonObject whole)
    {
        var asked = Asked(whole, agent) ?? whole.DeepClone().AsObject();
        asked["task"] = new JsonObject { ["id"] = task };
        var form = agent.ExchangeForm(details: [asked]);
        form["resource"] = (string)whole["locations"]![0]!;
        await TryAsync(kind, agent, null, () => agent.ExchangeRawAsync(form));
    }

    private void Begin(KnownTask task)
    {
        world.Tasks[task.Id] = task;
        TreeOracle.Check(task, world, Now);
    }

    private Task ContinueAsync() => Pick(h => h.Agent is not null) is not ({ } parent, { } agent) ? Task.CompletedTask
        : TryAsync("continuation", agent, parent, () => agent.ExchangeRawAsync(Form(agent, parent, withActor: false)));

    /// <summary>By anybody: who may, who may not, and in chains that are too deep.</summary>
    private async Task HandOffAsync()
    {
        // As often from what was handed on already: chains shall grow.
        var deep = random.Next(2) == 0 && held.Any(h => h.Token.Kind == "hand-off");
        if (Pick(h => h.Agent is not null && (!deep || h.Token.Kind == "hand-off")) is not ({ } parent, { } giver))
            return;
        // Mostly to whom something could be given.
        var hopeful = random.Next(5) > 0;
        var takers = s.Agents.Where(a => a != giver && (!hopeful
            || (world.HandOffs[giver.Id].Contains(a.Id) && !world.SuspendedAgents.Contains(a.Id) && AuthorityDraw.Common(parent.Entry, [world.Ceilings[a.Id]]) is not null))).ToList();
        if (takers.Count == 0)
            return;
        var taker = takers[random.Next(takers.Count)];
        long? until = random.Next(4) == 0 ? Now + random.Next(20, 2 * (int)Math.Max(30, parent.TaskEnds - Now)) : null;
        var form = Form(taker, parent, withActor: true, until);
        await TryAsync("hand-off", taker, parent, () => taker.ExchangeRawAsync(form), token =>
        {
            Assert.True(until is null || !form.ContainsKey("authorization_details") || token.TaskEnds == until, "another deadline than was asked for");
            Begin(new(token.Task, parent.Task, taker.Id, taker.Instance, world.Tasks[parent.Task].User, [token.Entry.DeepClone()], token.TaskEnds, false));
        });
    }

    private async Task DownstreamAsync()
    {
        // Mostly where something could come of it: a task at both tool servers, a tool that is held and has an edge.
        var hopeful = random.Next(4) > 0;
        if (Pick(h => !hopeful || world.Tasks[h.Token.Task].Details.Count > 1) is not ({ } parent, _))
            return;
        var to = parent.Audience == s.Resource ? there.Resource : s.Resource;
        var tools = AuthorityDraw.Tools.Where(t => !hopeful || (world.Edges.ContainsKey((parent.Audience, t, to)) && parent.Entry["tools"]![t] is not null)).ToList();
        if (tools.Count == 0)
            return;
        var (guard, tool) = (guards[parent.Audience], tools[random.Next(tools.Count)]);
        var whole = world.Tasks[parent.Task].Details.FirstOrDefault(e => (string)e!["locations"]![0]! == to)?.AsObject();
        var asked = whole is null || random.Next(2) == 0 ? null : Asked(whole, [.. s.Agents.Where(a => parent.Agents.Contains(a.Id))], world.Edges.GetValueOrDefault((parent.Audience, tool, to)));
        await TryAsync("downstream", null, parent, () => guard.DownstreamRawAsync(parent.Text, tool, to, form =>
        {
            if (asked is not null)
                form["authorization_details"] = new JsonArray(asked).ToJsonString();
        }), tool: tool);
    }

    private async Task RefreshAsync()
    {
        if (lines.Count == 0)
            return;
        var at = random.Next(lines.Count);
        var (refresh, token, agent) = lines[at];
        var form = agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", refresh);
        var elsewhere = random.Next(4) == 0;
        if (elsewhere)
            form["resource"] = token.Audience == s.Resource ? there.Resource : s.Resource;
        else if (Asked(token.Entry, [.. s.Agents.Where(a => token.Agents.Contains(a.Id))]) is { } asked)
            form["authorization_details"] = new JsonArray(asked).ToJsonString();
        await TryAsync(elsewhere ? "refresh elsewhere" : "refresh", agent, token, () => agent.PostFormAsync(Names.Paths.Token, form), answered: response =>
            lines[at] = (response.RefreshToken!, token, agent));
    }

    private async Task TryAsync(
        string kind, TestAgent? agent, IssuedToken? parent, Func<Task<HttpResponseMessage>> exchange, Action<IssuedToken>? begun = null, string? tool = null,
        Action<TokenResponse>? answered = null)
    {
        var answer = await exchange();
        Count(kind, answer.IsSuccessStatusCode);
        if (!answer.IsSuccessStatusCode)
        {
            Assert.True((int)answer.StatusCode < 500, await answer.Content.ReadAsStringAsync());
            return;
        }
        var response = await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
        var token = new IssuedToken(response.AccessToken, Answers.Claims(response.AccessToken), kind, parent);
        // Nothing comes of what is dead, but for a refresh: its last token may be over, and what it stands on not.
        if (parent is not null && kind is not ("refresh" or "refresh elsewhere"))
            Assert.True(TreeOracle.Lives(parent, world, Now), $"a {kind} of a token that is dead");
        begun?.Invoke(token);
        TreeOracle.Check(token, world, tool);
        var presenter = agent is null ? guards[parent!.Audience].Key : agent.Key;
        Assert.Equal((agent?.ClientId ?? guards[parent!.Audience].Id, presenter.Public.Thumbprint), (token.Client, token.Key));
        Assert.True(agent is not null || response.RefreshToken is null, "a refresh token for a tool server");
        answered?.Invoke(response);
        Deepest = Math.Max(Deepest, token.Chain.Count);
        held.Add((token, agent));
        if (agent is not null && response.RefreshToken is { } refresh && answered is null)
            lines.Add((refresh, token, agent));
        if (held.Count > 60)
            held.RemoveAt(random.Next(held.Count));
    }

    private Dictionary<string, string> Form(TestAgent presenter, IssuedToken parent, bool withActor, long? until = null)
    {
        var asked = Asked(parent.Entry, [presenter, .. s.Agents.Where(a => parent.Agents.Contains(a.Id))]);
        if (asked is not null && until is { } end)
            asked["task"] = new JsonObject { ["purpose"] = "a part", ["expires_at"] = DateTimeOffset.FromUnixTimeSeconds(end).ToString("O") };
        var form = presenter.ExchangeForm(parent.Text, withActor, asked is null ? null : [asked]);
        form["resource"] = parent.Audience;
        if (random.Next(5) == 0)
            form["scope"] = "tool:" + AuthorityDraw.Tools[random.Next(AuthorityDraw.Tools.Length)];
        return form;
    }

    private JsonObject? Asked(JsonObject whole, TestAgent agent) => Asked(whole, [agent]);

    /// <summary>Mostly within what there is, and often within what these agents may as well; null = all of it.</summary>
    private JsonObject? Asked(JsonObject whole, TestAgent[] agents, string[]? tools = null)
    {
        var part = AuthorityDraw.Without(whole, tools is null ? [] : [.. AuthorityDraw.Tools.Except(tools)]);
        var common = part is null ? null : AuthorityDraw.Common(part, agents.Select(a => world.Ceilings[a.Id]));
        return random.Next(12) switch
        {
            < 3 => null, < 6 when common is not null => common, < 8 when common is not null => draw.Within(common), < 9 => draw.Within(whole), < 11 => draw.Beyond(whole),
            _ => draw.Entry((string)whole["locations"]![0]!),
        };
    }

    private (IssuedToken?, TestAgent?) Pick(Func<(IssuedToken Token, TestAgent? Agent), bool> which)
    {
        var some = held.Where(which).ToList();
        return some.Count == 0 ? default : some[random.Next(some.Count)];
    }

    private void Count(string kind, bool granted)
    {
        var (tried, so) = Counts.GetValueOrDefault(kind);
        Counts[kind] = (tried + 1, so + (granted ? 1 : 0));
    }
}
