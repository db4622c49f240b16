using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpAuthServer.Tests.Exchange.Trees;

/// <summary>A token that was issued, with what it was exchanged from; read from its claims alone.</summary>
internal sealed record IssuedToken(string Text, JsonElement Claims, string Kind, IssuedToken? Parent)
{
    public string Audience => Claims.GetProperty("aud").GetString()!;
    public string Subject => Claims.GetProperty("sub").GetString()!;
    public string Client => Claims.GetProperty("client_id").GetString()!;
    public string Task => Claims.GetProperty("task").GetProperty("id").GetString()!;
    public long TaskEnds => Claims.GetProperty("task").GetProperty("expires_at").GetInt64();
    public long Expires => Claims.GetProperty("exp").GetInt64();
    public string Grant => Claims.GetProperty("grant").GetString()!;
    public string Key => Claims.GetProperty("cnf").GetProperty("jkt").GetString()!;
    public string? Instance => Claims.TryGetProperty("agent_ctx", out var context) && context.TryGetProperty("instance", out var instance) ? instance.GetString() : null;
    public HashSet<string> Lineage => [.. Claims.GetProperty("lineage").EnumerateArray().Select(e => e.GetString()!)];
    public JsonObject Entry { get; } = JsonNode.Parse(Claims.GetProperty("authorization_details")[0].GetRawText())!.AsObject();

    /// <summary>Actors, outermost first.</summary>
    public IReadOnlyList<string> Chain
    {
        get
        {
            var chain = new List<string>();
            for (var at = Claims; at.TryGetProperty("act", out var act); at = act)
                chain.Add(act.GetProperty("sub").GetString()!);
            return chain;
        }
    }

    public IEnumerable<string> Agents => Chain.Append(Subject).Where(id => id.StartsWith("agt_", StringComparison.Ordinal));
}

/// <summary>A task as the walk saw it begin.</summary>
/// <param name="Details">What a person allowed, or an agent said, or was handed.</param>
internal sealed record KnownTask(string Id, string? Parent, string Agent, string? Holder, string? User, JsonArray Details, long Ends, bool Resumable)
{
    public bool Stopped { get; set; }
    public bool Suspended { get; set; }
    public string? Holder { get; set; } = Holder;
}

/// <summary>What the walk knows to be so, kept beside the server and never asked of it.</summary>
internal sealed class KnownWorld
{
    public Dictionary<string, KnownTask> Tasks { get; } = [];

    /// <summary>Of each agent, by location, at this moment: they are moved.</summary>
    public Dictionary<string, JsonArray> Ceilings { get; } = [];

    /// <summary>How many seconds a task of each agent may last.</summary>
    public Dictionary<string, int> LongestTask { get; } = [];
    public Dictionary<string, HashSet<string>> HandOffs { get; } = [];

    /// <summary>From (server, tool) to (server, tools).</summary>
    public Dictionary<(string Resource, string Tool, string To), string[]> Edges { get; } = [];

    /// <summary>When each instance that lives ends.</summary>
    public Dictionary<string, long> Instances { get; } = [];
    public HashSet<string> SuspendedAgents { get; } = [];
    public HashSet<string> DisabledUsers { get; } = [];
    public HashSet<string> DeadGrants { get; } = [];

    public IEnumerable<KnownTask> Up(string task)
    {
        for (var at = Tasks[task]; ; at = Tasks[at.Parent])
        {
            yield return at;
            if (at.Parent is null)
                yield break;
        }
    }
}

/// <summary>Whether a token is within all that bounds it, and whether it should live; by nothing that the server computes with.</summary>
internal static class TreeOracle
{
    /// <summary>Of a task that has just begun.</summary>
    public static void Check(KnownTask task, KnownWorld world, long now)
    {
        Assert.True(task.Ends <= now + world.LongestTask[task.Agent], $"lasts longer than tasks of {task.Agent} may");
        // What a person allowed was within the ceiling when they did; whatever comes of it is held against the one of then.
        if (task.User is null && task.Parent is null)
            foreach (var entry in task.Details)
                Within(entry!.AsObject(), world.Ceilings[task.Agent], $"the ceiling of {task.Agent}");
        if (task.Parent is not { } above)
            return;
        Assert.True(task.Ends <= world.Tasks[above].Ends, "a child that outlives its parent");
        foreach (var entry in task.Details)
            Within(entry!.AsObject(), world.Tasks[above].Details, $"the task {above}");
    }

    /// <summary>Of a token that has just been issued.</summary>
    public static void Check(IssuedToken token, KnownWorld world, string? fromTool = null)
    {
        // 1. Authority: the parent, every task above, the ceiling of every agent that had a hand in it, the edge.
        Assert.Equal([token.Audience], token.Entry["locations"]!.AsArray().Select(n => (string)n!));
        if (token.Parent is { } from && from.Audience == token.Audience)
            Within(token.Entry, new JsonArray(from.Entry.DeepClone()), "its parent");
        foreach (var task in world.Up(token.Task))
        {
            Within(token.Entry, task.Details, $"the task {task.Id}, or what the person allowed for it");
            Assert.True(token.Expires <= task.Ends, $"outlives the task {task.Id}");
        }
        foreach (var agent in token.Agents)
            Within(token.Entry, world.Ceilings[agent], $"the ceiling of {agent}");

        // 2. Time: its own task's end is told truly, and no instance above is outlived.
        Assert.Equal(world.Tasks[token.Task].Ends, token.TaskEnds);
        foreach (var instance in token.Lineage.Append(token.Instance ?? "").Where(world.Instances.ContainsKey))
            Assert.True(token.Expires <= world.Instances[instance], $"outlives {instance}");

        // 3. Who: the same person, the chain kept, no deeper than four.
        Assert.True(token.Chain.Count <= 4, "a chain deeper than four");
        Assert.Equal(world.Tasks[token.Task].User ?? world.Up(token.Task).Last().Agent, token.Subject);
        Assert.False(token.Claims.TryGetProperty("may_act", out _));
        if (token.Parent is not { } parent)
            return;
        Assert.Equal(parent.Subject, token.Subject);
        Assert.True(parent.Lineage.IsSubsetOf(token.Lineage) || token.Kind == "refresh elsewhere", "an ancestor is missing in the lineage");
        Assert.True(token.Kind == "refresh elsewhere" || token.Grant == parent.Grant || token.Lineage.Contains(parent.Grant), "the parent's grant is missing in the lineage");
        if (token.Kind == "hand-off")
        {
            Assert.Equal(parent.Chain, token.Chain.Skip(1));
            Assert.Equal(parent.Task, world.Tasks[token.Task].Parent);
            var giver = parent.Chain.Count > 0 ? parent.Chain[0] : parent.Subject;
            Assert.Contains(token.Chain[0], world.HandOffs[giver]);
        }
        else
        {
            Assert.Equal(parent.Chain, token.Chain);
            Assert.Equal(parent.Task, token.Task);
        }
        if (token.Kind == "downstream")
        {
            Assert.True(token.Expires <= parent.Expires, "outlives what it was exchanged from");
            Assert.Contains(fromTool!, parent.Entry["tools"]!.AsObject().Select(t => t.Key));
            Assert.Subset(world.Edges[(parent.Audience, fromTool!, token.Audience)].ToHashSet(), token.Entry["tools"]!.AsObject().Select(t => t.Key).ToHashSet());
        }
        Assert.DoesNotContain("downstream", Above(token).Select(t => t.Kind));
    }

    /// <summary>Whether it is alive, by what the walk has seen; above all: false once anything it stands on ended.</summary>
    public static bool Lives(IssuedToken token, KnownWorld world, long now) =>
        token.Expires > now
        && world.Up(token.Task).All(t => t is { Stopped: false, Suspended: false } && t.Ends > now)
        && !token.Lineage.Append(token.Grant).Any(world.DeadGrants.Contains)
        && token.Agents.All(a => !world.SuspendedAgents.Contains(a)) && !world.DisabledUsers.Contains(token.Subject)
        && Above(token).Prepend(token).Select(t => t.Instance).OfType<string>().All(i => world.Instances.GetValueOrDefault(i) > now);

    private static IEnumerable<IssuedToken> Above(IssuedToken token)
    {
        for (var at = token.Parent; at is not null; at = at.Parent)
            yield return at;
    }

    private static void Within(JsonObject entry, JsonArray bound, string what)
    {
        var above = bound.FirstOrDefault(e => (string)e!["locations"]![0]! == (string)entry["locations"]![0]!);
        Assert.True(above is not null, $"a location that {what} does not have");
        foreach (var (name, tool) in entry["tools"]!.AsObject())
        {
            var held = above["tools"]![name];
            Assert.True(held is not null, $"{name} is not in {what}");
            Assert.True(held["max_calls"] is not { } most || (tool!["max_calls"] is { } calls && (int)calls <= (int)most), $"more calls of {name} than {what}");
            foreach (var call in ArgumentOracle.Calls)
                Assert.True(!ArgumentOracle.Admits(tool!, call) || ArgumentOracle.Admits(held, call), $"{name} {call.ToJsonString()} is admitted beyond {what}");
        }
    }
}
