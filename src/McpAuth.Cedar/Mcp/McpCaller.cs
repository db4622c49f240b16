using System.Net;
using System.Text.Json.Serialization;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>Whose authority a caller acts on.</summary>
public enum McpSubject
{
    User,

    /// <summary>An agent that acts for nobody.</summary>
    Agent,

    /// <summary>A program that is no agent, for itself.</summary>
    Client,
}

/// <summary>A governed agent, as far as policies read it. The owner is a user's id.</summary>
public sealed record McpAgent(string Id, string? Owner = null, string? Class = null, DateTimeOffset? Review = null);

/// <summary>What a call belongs to.</summary>
public sealed record McpTask(string Id, DateTimeOffset? Deadline = null, string? Parent = null);

/// <summary>How an agent's instance proved what it is.</summary>
public sealed record McpAttestation(string Assurance, string? Workload = null);

/// <summary>A person's yes to one call. <paramref name="By"/> is a user's id.</summary>
public sealed record McpApproval(string Id, string By, DateTimeOffset? At = null);

/// <summary>
/// Who calls, for whom, and within what: the principal, the entities and <c>context.session</c> of <see cref="ToolServerModel.Create"/>, made of what an access
/// token says. Whoever issues a token and whoever admits its calls make them here, so that policies see the same. Immutable; what it makes can be kept as long
/// as the token.
/// </summary>
public sealed record McpCaller
{
    private static readonly string[] Types = ["Mcp::User", "Mcp::Agent", "Mcp::Client"];

    public required McpSubject Kind { get; init; }

    /// <summary>The id of the user, agent or client whose authority it is.</summary>
    public required string Subject { get; init; }

    /// <summary>The ids of the user's groups.</summary>
    public IReadOnlyCollection<string> Groups { get; init; } = [];

    /// <summary>The agent that calls; null when a person's own program does.</summary>
    public McpAgent? Agent { get; init; }

    /// <summary>The ids of the agents that handed the work on, without the one that calls.</summary>
    public IReadOnlyCollection<string> Chain { get; init; } = [];

    public string? Instance { get; init; }
    public string? Client { get; init; }
    public McpTask? Task { get; init; }
    public McpAttestation? Attestation { get; init; }
    public IReadOnlyCollection<string> Scopes { get; init; } = [];

    /// <summary>How strongly the user signed in.</summary>
    public string? Acr { get; init; }

    /// <summary>When the user signed in.</summary>
    public DateTimeOffset? Authenticated { get; init; }

    [JsonIgnore]
    public EntityUid Principal => new(Types[(int)Kind], Subject);

    /// <summary>The tool server as policies name it.</summary>
    /// <param name="resource">Its URI.</param>
    public static EntityUid Server(string resource) => new("Mcp::Server", resource);

    /// <summary>The user with the groups, and the agent with its attributes.</summary>
    public EntityStore Entities()
    {
        var all = new List<EntityDescription>(2);
        if (Kind == McpSubject.User) all.Add(new(Principal, null, [.. Groups.Distinct(StringComparer.Ordinal).Select(g => new EntityUid("Mcp::Group", g))]));
        if (Agent is { } agent) all.Add(new(AgentUid(agent.Id), AttributesOf(agent)));
        return EntityStore.Of(all).Value;
    }

    /// <summary><c>context.session</c>.</summary>
    /// <param name="time">When it is decided.</param>
    /// <param name="address">Where the request came from; null when that is not known.</param>
    public CedarRecord Session(DateTimeOffset time, McpApproval? approval = null, IPAddress? address = null)
    {
        var session = new List<KeyValuePair<string, Value>>(16)
        {
            new("time", Moment(time)),
            new("scopes", Value.Of(new CedarSet([.. Scopes.Select(Value.Of)]))),
            new("chain", Value.Of(new CedarSet([.. Chain.Select(a => Value.Of(AgentUid(a)))]))),
        };
        if (Kind == McpSubject.User) session.Add(new("user", Value.Of(Principal)));
        if (Agent is { } agent) session.Add(new("agent", Value.Of(AgentUid(agent.Id))));
        Text("instance", Instance);
        Text("client", Client);
        Text("acr", Acr);
        if (Authenticated is { } signedIn) session.Add(new("authenticated", Moment(signedIn)));
        if (Task is { } task)
        {
            Record("task", ("id", Value.Of(task.Id)), ("deadline", task.Deadline is { } deadline ? Moment(deadline) : default), ("parent", Optional(task.Parent)));
        }
        if (Attestation is { } proof) Record("attestation", ("assurance", Value.Of(proof.Assurance)), ("workload", Optional(proof.Workload)));
        if (approval is not null)
        {
            Record("approval", ("id", Value.Of(approval.Id)), ("by", Value.Of(new EntityUid(Types[(int)McpSubject.User], approval.By))), ("at", approval.At is { } at ? Moment(at) : default));
        }
        if (address is not null && IpText.Read((address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString()) is { } known) session.Add(new("address", Value.Of(known)));
        return new(session);

        void Text(string name, string? value)
        {
            if (value is not null) session.Add(new(name, Value.Of(value)));
        }

        void Record(string name, params ReadOnlySpan<(string Name, Value Value)> attributes)
        {
            var present = new List<KeyValuePair<string, Value>>(attributes.Length);
            foreach ((string attribute, Value value) in attributes)
                if (!value.IsNone) present.Add(new(attribute, value));
            session.Add(new(name, Value.Of(new CedarRecord(present))));
        }
    }

    private static CedarRecord AttributesOf(McpAgent agent)
    {
        var attributes = new List<KeyValuePair<string, Value>>(3);
        if (agent.Owner is not null) attributes.Add(new("owner", Value.Of(new EntityUid(Types[(int)McpSubject.User], agent.Owner))));
        if (agent.Class is not null) attributes.Add(new("class", Value.Of(agent.Class)));
        if (agent.Review is { } review) attributes.Add(new("review", Moment(review)));
        return new(attributes);
    }

    private static EntityUid AgentUid(string id) => new(Types[(int)McpSubject.Agent], id);

    private static Value Optional(string? text) => text is null ? default : Value.Of(text);

    private static Value Moment(DateTimeOffset time) => Value.OfDatetime(time.ToUnixTimeMilliseconds());
}
