using System.Data.Common;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients;
using McpAuthServer.Storage;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Registry;

/// <summary>Loads everything registered, at one version.</summary>
internal sealed class RegistryReader(IReadStore store)
{
    private static readonly Sql
        Agents = new("select id, name, owner, purpose, state, ceiling, hand_off_to, require_dpop, client_credentials, max_task_seconds, tool_class, review_at from agents"),
        Clients = new(
            """
            select id, name, agent_id, auth_method, secret_hash, jwks, grant_types, legacy_audience, authority, state, redirect_uris, tool_servers, post_logout_redirect_uris,
              introspects, certificate_subject, certificates, binds_to_certificate, administers
            from clients where origin = 'registered'
            """),
        Servers = new("select id, resource, name, state, manifest, development from tool_servers"),
        Tools = new(
            """
            select tool_server, name, state, sensitivity, class, approval, digest, case when approved_definition_digest = digest then approved_definition end from tools
            """),
        Policies = new("select tool_server, state, version, source from policy_sets where state = 'active' or state = 'shadow'"),
        Edges = new("select from_server, from_tool, to_server, to_tools from edges"),
        Issuers = new("select id, name, kind, issuer, audience, jwks, jwks_uri, longest_seconds, state from workload_issuers"),
        Providers = new("select id, name, issuer, jwks, jwks_uri, clients, link_domains, provision, state from identity_providers"),
        Exclusive = new("select name from tool_classes where exclusive = 1"),
        Bindings = new("select agent_id, issuer_id, selectors, client_id from trust_bindings");

    /// <summary>The version alone: one indexed row.</summary>
    public Task<long> Version(CancellationToken cancel) => store.First(RegistryVersion.Read.With(), row => row.GetInt64(0), cancel);

    /// <exception cref="InvalidDataException">A stored value does not read as what the server once wrote.</exception>
    public async Task<RegistrySnapshot> Load(CancellationToken cancel)
    {
        // The reads are separate statements on pooled connections. Whoever changes a row raises the version in the same transaction,
        // so equal versions around the reads mean that nothing was changed in between.
        var version = await Version(cancel);
        while (true)
        {
            var snapshot = await LoadAt(version, cancel);
            var after = await Version(cancel);
            if (after == version)
                return snapshot;
            version = after;
        }
    }

    private async Task<RegistrySnapshot> LoadAt(long version, CancellationToken cancel)
    {
        var agents = await store.All(Agents.With(), Agent, cancel);
        var clients = await store.All(Clients.With(), Client, cancel);
        var tools = (await store.All(Tools.With(), row => (Server: row.GetString(0), Tool: Tool(row)), cancel)).ToLookup(t => t.Server, t => t.Tool);
        // A server deleted or added between two reads shows as another version afterwards; here it must only not break the reading.
        var policies = (await store.All(Policies.With(), row => (Server: row.GetString(0), State: row.GetString(1), Policy: new PolicyRecord(row.GetInt64(2), row.GetString(3))), cancel))
            .ToLookup(p => (p.Server, p.State), p => p.Policy);
        var servers = await store.All(Servers.With(), row => Server(row, tools, policies), cancel);
        var edges = await store.All(Edges.With(), Edge, cancel);
        var issuers = await store.All(Issuers.With(), WorkloadIssuer, cancel);
        var bindings = await store.All(Bindings.With(), Binding, cancel);
        var exclusive = (await store.All(Exclusive.With(), row => row.GetString(0), cancel)).ToHashSet(StringComparer.Ordinal);
        var providers = await store.All(Providers.With(), IdentityProvider, cancel);
        return new RegistrySnapshot(version, ById(agents, a => a.Id), ById(clients, c => c.Id), ById(servers, s => s.Id), edges, issuers, bindings, exclusive, providers);
    }

    private static Dictionary<string, T> ById<T>(List<T> rows, Func<T, string> id) => rows.ToDictionary(id, StringComparer.Ordinal);

    private static AgentRecord Agent(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetString(4), Authority(row.GetString(5)), StoredText.ToSet(row.GetString(6)),
        row.GetInt64(7) != 0, row.GetInt64(8) != 0, TimeSpan.FromSeconds(row.GetInt64(9)))
    {
        ToolClass = Optional(row, 10), Review = row.IsDBNull(11) ? null : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(11)),
    };

    private static ClientRecord Client(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), Optional(row, 2), row.GetString(3), Optional(row, 4),
        Optional(row, 5) is { } jwks ? Keys(jwks) : [], StoredText.ToSet(row.GetString(6)), row.GetInt64(7) != 0,
        Authority(row.GetString(8)), row.GetString(9) == RegistryState.Active, [.. StoredText.ToSet(row.GetString(10))], StoredText.ToSet(row.GetString(11)),
        Optional(row, 14) is { } subject ? Subject(subject) : null, StoredText.ToSet(row.GetString(15)))
    {
        PostLogoutRedirectUris = [.. StoredText.ToSet(row.GetString(12))], Introspects = Optional(row, 13), BindsToCertificate = row.GetInt64(16) != 0,
        Administers = row.GetInt64(17) != 0,
    };

    private static ToolServerRecord Server(DbDataReader row, ILookup<string, ToolRecord> tools, ILookup<(string, string), PolicyRecord> policies) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3) == RegistryState.Active, row.GetInt64(4),
        tools[row.GetString(0)].ToDictionary(t => t.Name, StringComparer.Ordinal))
    {
        Policies = policies[(row.GetString(0), PolicyState.Active)].SingleOrDefault(), Shadow = policies[(row.GetString(0), PolicyState.Shadow)].SingleOrDefault(),
        Development = row.GetInt64(5) != 0,
    };

    private static ToolRecord Tool(DbDataReader row) => new(
        row.GetString(1), row.GetString(2), row.GetString(3), Optional(row, 4), row.GetString(5) == "required", Optional(row, 6))
    {
        Definition = Optional(row, 7),
    };

    private static EdgeRecord Edge(DbDataReader row) => new(row.GetString(0), row.GetString(1), row.GetString(2), StoredText.ToSet(row.GetString(3)));

    private static WorkloadIssuerRecord WorkloadIssuer(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), Optional(row, 4), Optional(row, 5) is { } jwks ? Keys(jwks) : null, Optional(row, 6),
        TimeSpan.FromSeconds(row.GetInt64(7)), row.GetString(8) == RegistryState.Active);

    private static TrustBinding Binding(DbDataReader row) =>
        new(row.GetString(0), row.GetString(1), StoredText.ToMap(row.GetString(2)), row.GetString(3));

    private static IdentityProviderRecord IdentityProvider(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), Optional(row, 3) is { } jwks ? Keys(jwks) : null, Optional(row, 4), StoredText.ToSet(row.GetString(5)),
        StoredText.ToSet(row.GetString(6)), Optional(row, 7) is { } rule ? Provision(StoredText.Json(rule)) : null, row.GetString(8) == RegistryState.Active);

    private static ProvisionRule Provision(JsonElement rule) => new(
        rule.TryGetProperty("email_domains", out var domains) ? domains.EnumerateArray().Select(d => d.GetString()!).ToHashSet(StringComparer.Ordinal) : new HashSet<string>(),
        rule.TryGetProperty("groups", out var groups) ? groups.EnumerateObject().ToDictionary(g => g.Name, g => g.Value.GetString()!, StringComparer.Ordinal) : []);

    private static string? Optional(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static GrantedAuthority Authority(string stored) => Stored(GrantedAuthority.Parse(StoredText.Json(stored)));

    private static IReadOnlyList<VerificationKey> Keys(string stored) => Stored(VerificationKey.FromJwks(StoredText.Json(stored)));

    private static CertificateSubject Subject(string stored) =>
        CertificateSubject.Stored(stored) ?? throw new InvalidDataException($"The registry holds a value that does not read: {stored}");

    private static T Stored<T>(Result<T> result) =>
        result.TryGet(out var value, out var fault) ? value : throw new InvalidDataException($"The registry holds a value that does not read: {fault}");
}
