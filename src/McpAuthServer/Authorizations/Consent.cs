using System.Data.Common;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>What a person allowed a program, or an agent through its program. It stands until it is withdrawn; for how long it answers again by itself is another matter.</summary>
/// <param name="ToolServer">By scope: the tool server's id; null where the words are about the person alone.</param>
/// <param name="Scope">By scope: the words; null for an agent, where <paramref name="Authority"/> decides.</param>
/// <param name="RememberedUntil">Epoch milliseconds; 0 = the next request asks the person again (invariant 12).</param>
internal sealed record Consent(
    string Id, string UserId, string ClientId, string? AgentId, string? ToolServer, string RedirectUri, string ClientKeys, string? Scope, Authority Authority,
    string? Purpose, string State, long GrantedAt, long RememberedUntil)
{
    /// <summary>The identity provider that allowed it in the person's place; null where they did.</summary>
    public string? Provider { get; init; }

    public const string Active = "active", Withdrawn = "withdrawn";

    /// <summary>How long a request within it is answered without asking.</summary>
    public static readonly TimeSpan Remembered = TimeSpan.FromDays(90);

    public const string Columns =
        "id, user_id, client_id, agent_id, tool_server, redirect_uri, client_keys, scope, authority, purpose, state, granted_at, remembered_until, provider_id";

    public IReadOnlyList<string> Words => ScopeWords.Split(Scope);

    public static Consent? Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.GetString(2), Text(r, 3), Text(r, 4), r.GetString(5), r.GetString(6), Text(r, 7),
        TaskRecord.ReadAuthority(r.GetString(8)), Text(r, 9), r.GetString(10), r.GetInt64(11), r.GetInt64(12)) { Provider = Text(r, 13) };

    private static string? Text(DbDataReader r, int i) => r.IsDBNull(i) ? null : r.GetString(i);
}

/// <summary>Reads consents.</summary>
internal sealed class ConsentStore(IReadStore store)
{
    private static readonly Sql
        ById = new($"select {Consent.Columns} from consents where id = @id"),
        OfUser = new($"select {Consent.Columns} from consents where user_id = @user and state = 'active' order by granted_at desc, id"),
        StoppedByUser = new($"select {Consent.Columns} from consents where user_id = @user and stopped_by = 2 order by ended_at desc, id"),
        InUse = new(
            """
            select distinct g.consent_id from grants g join consents c on c.id = g.consent_id
            where c.user_id = @user and c.state = 'active' and g.state = 'active' and g.expires_at > @now
            """);

    public Task<Consent?> Find(string id, CancellationToken cancel) => store.First(ById.With(id), Consent.Read, cancel);

    /// <summary>Those that stand, newest first.</summary>
    public async Task<IReadOnlyList<Consent>> Of(string user, CancellationToken cancel) => (await store.All(OfUser.With(user), Consent.Read, cancel)).OfType<Consent>().ToList();

    /// <summary>What an enterprise would allow, and the person has stopped; newest first.</summary>
    public async Task<IReadOnlyList<Consent>> StoppedBy(string user, CancellationToken cancel) => [.. (await store.All(StoppedByUser.With(user), Consent.Read, cancel)).OfType<Consent>()];

    /// <summary>Ids of those that something lives by at this moment.</summary>
    public async Task<IReadOnlySet<string>> LivedBy(string user, DateTimeOffset now, CancellationToken cancel) =>
        (await store.All(InUse.With(user, now.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel)).ToHashSet(StringComparer.Ordinal);

    /// <summary>What the person allowed before for the same program, agent, address and keys; null when nothing. A new one of any of these is asked for anew.</summary>
    public Task<Consent?> FindFor(string user, AuthorizationRequest request, CancellationToken cancel) =>
        store.First(ConsentMatch.Select(user, request), Consent.Read, cancel);
}

/// <summary>Which consent a request belongs to.</summary>
internal static class ConsentMatch
{
    private const string Same = "user_id = @user and client_id = @client and redirect_uri = @redirect and client_keys = @keys and state = 'active'";

    private static readonly Sql
        ByScope = new($"select {Consent.Columns} from consents where {Same} and tool_server = @server and agent_id is null order by granted_at desc, id"),
        OfIdentity = new($"select {Consent.Columns} from consents where {Same} and tool_server is null and agent_id is null order by granted_at desc, id"),
        ToAgent = new($"select {Consent.Columns} from consents where {Same} and agent_id = @agent and purpose = @purpose order by granted_at desc, id");

    public static Statement Select(string user, AuthorizationRequest request)
    {
        var (client, recipient) = (request.Client, request.Recipient);
        return request.Asked switch
        {
            Asked.ByScope scope => ByScope.With(user, client.Id, recipient.Registered, client.KeysDigest, scope.Server.Id),
            Asked.Identity => OfIdentity.With(user, client.Id, recipient.Registered, client.KeysDigest),
            Asked.Delegation delegation => ToAgent.With(user, client.Id, recipient.Registered, client.KeysDigest, delegation.Agent.Id, delegation.Purpose),
            var other => throw new InvalidOperationException($"Unknown request {other}."),
        };
    }

    /// <summary>Whether the person need not be asked: remembered, and all of the request within it.</summary>
    public static bool Answers(this Consent consent, AuthorizationRequest request, DateTimeOffset now) =>
        !request.Prompt.Contains(McpAuth.Protocol.Names.Authorization.PromptConsent)
        && consent.RememberedUntil > now.ToUnixTimeMilliseconds()
        && request.Asked switch
        {
            Asked.ByScope scope => consent.Words is var held && scope.Words.All(word => ScopeWords.Covers(held, word, scope.Server)),
            Asked.Identity identity => consent.Words is var held && identity.Words.All(held.Contains),
            Asked.Delegation delegation => delegation.Authority.Exceeds(consent.Authority) is null,
            _ => false,
        };
}
