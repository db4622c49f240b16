using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Keys;
using McpAuthServer.People;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <param name="Faults">Every fault of the file; when there is any, nothing was applied.</param>
/// <param name="Changed">How many objects were created or changed.</param>
internal sealed record ApplyOutcome(IReadOnlyList<Fault> Faults, int Changed)
{
    public bool Applied => Faults.Count == 0;
}

/// <summary>One file as one transaction: its references, its rows, what it suspends in the revocation feed, and its audit events.</summary>
/// <param name="by">The client that sent it; null = an operator at the server itself.</param>
internal sealed class ApplyUnit(
    ApplyDocument document, IReadOnlyList<Fault> faults, string digest, KeyEncryption keys, Issuer issuer, TimeProvider time, string? by = null) : Unit<ApplyOutcome>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override ApplyOutcome Apply(WriteTx tx)
    {
        var now = time.GetUtcNow();
        IReadOnlyList<Fault> all = [.. faults, .. ApplyReferences.Check(tx, document, issuer)];
        if (all.Count > 0)
        {
            tx.Append(Applied(now, "refused", new() { ["file_digest"] = digest, ["faults"] = all.Count }) with { Reason = all[0].Code });
            return new ApplyOutcome(all, 0);
        }

        var changes = new ApplyChanges(tx, now, by);
        // Referenced before referring: groups, users; agents, tool servers; clients, edges.
        foreach (var group in document.Groups)
            ApplyRows.Group(changes, group);
        ApplyAccounts.ReleaseNames(tx, document.Users);
        foreach (var user in document.Users)
            ApplyRows.User(changes, user);
        foreach (var agent in document.Agents)
            ApplyRows.Agent(changes, agent);
        foreach (var server in document.ToolServers)
            ApplyToolServers.Write(changes, server, keys);
        foreach (var client in document.Clients)
            ApplyRows.Client(changes, client);
        foreach (var edge in document.Edges)
            ApplyRows.Edge(changes, edge);
        foreach (var toolClass in document.ToolClasses)
            ApplyRows.ToolClass(changes, toolClass);
        foreach (var issuer in document.WorkloadIssuers)
            ApplyRows.WorkloadIssuer(changes, issuer);
        foreach (var agent in document.Agents)
            ApplyRows.Trust(changes, agent);
        foreach (var provider in document.IdentityProviders)
            ApplyProviders.Write(changes, provider);

        if (changes.Count > 0)
            RegistryVersion.Raise(tx);
        foreach (var e in changes.Events)
            tx.Append(e);
        tx.Append(Applied(now, "success", new() { ["file_digest"] = digest, ["changed"] = changes.Count }));
        return new ApplyOutcome([], changes.Count);
    }

    private AuditEvent Applied(DateTimeOffset now, string outcome, JsonObject data) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.AdminApplied, Outcome = outcome, Client = by, Data = data,
    };
}

/// <summary>What one run of the unit changed so far; its events are appended last.</summary>
/// <param name="by">The client that asked for it; null = an operator at the server itself.</param>
internal sealed class ApplyChanges(WriteTx tx, DateTimeOffset now, string? by = null)
{
    private readonly List<AuditEvent> events = [];

    public WriteTx Tx => tx;
    public DateTimeOffset At => now;
    public long Now { get; } = now.ToUnixTimeMilliseconds();
    public int Count { get; private set; }
    public IReadOnlyList<AuditEvent> Events => events;

    /// <summary>Of what ends because of a change.</summary>
    public Initiator Initiator { get; } = new(null, null, null, Rank.Administrator) { Administrator = by };

    /// <summary>Adds what came of a change.</summary>
    public void Effects(IEnumerable<AuditEvent> effects) => events.AddRange(effects);

    /// <summary>Notes a created or changed object; <paramref name="members"/> are names only, never values.</summary>
    /// <param name="told">What else is told of it.</param>
    /// <param name="reason">Why, in words of whoever did it.</param>
    public void Note(string kind, string id, bool created, IEnumerable<string> members, JsonObject? told = null, string? reason = null)
    {
        var names = members.Select(m => (JsonNode?)m).ToArray();
        if (!created && names.Length == 0)
            return;
        Count++;
        var data = new JsonObject { ["kind"] = kind, ["id"] = id, ["members"] = new JsonArray(names) };
        if (created)
            data["created"] = true;
        foreach (var (name, value) in told ?? [])
            data[name] = value?.DeepClone();
        Add(AuditTypes.AdminChanged, kind, id, data, reason);
    }

    /// <summary>An agent, client or user stopped or went on.</summary>
    public void NoteState(string type, string kind, string id) =>
        Add(type, kind, id, new JsonObject { ["kind"] = kind, ["id"] = id });

    /// <summary>Every sign-in of the user ends.</summary>
    public void EndSessions(string user, string reason) => events.AddRange(SessionEnding.EndAllOf(tx, user, except: null, reason, now, node: null));

    private void Add(string type, string kind, string id, JsonObject data, string? reason = null)
    {
        if (by is not null)
            data["by"] = by;
        events.Add(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = Now, Type = type, Outcome = "success", Agent = kind == SubjectKind.Agent ? id : null,
            // What is said of a client stands under its name; who said it is in the data too.
            Client = kind == SubjectKind.Client ? id : by, Reason = reason, Data = data,
        });
    }
}
