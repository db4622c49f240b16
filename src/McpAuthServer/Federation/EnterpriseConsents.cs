using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Federation;

/// <summary>
/// What an enterprise allows a program, or an agent through its program, for a person at one tool server: it stands in the place of the person's consent, and
/// is one in everything else. It is seen, withdrawn and revoked as such.
/// </summary>
/// <param name="Before">As it was found; null when it is new.</param>
/// <param name="Scope">By scope: all the words that were allowed so far; null for an agent.</param>
internal sealed record EnterpriseConsent(string Id, EnterpriseConsent.Row? Before, ClientRecord Client, string? Agent, ToolServerRecord Server, string? Scope, Authority Authority)
{
    /// <param name="Authority">As it is stored.</param>
    internal sealed record Row(string Id, string? Scope, string Authority);

    public bool Changes => Before is null || Before.Scope != Scope || Before.Authority != Authority.ToJson();
}

/// <summary>Reads and plans them.</summary>
internal sealed class EnterpriseConsents(IReadStore store)
{
    private const string Same = "user_id = @user and client_id = @client and tool_server = @server and coalesce(agent_id, '') = @agent";

    public static readonly Sql
        Standing = new($"select id, scope, authority from consents where {Same} and provider_id = @provider and state = 'active' order by granted_at desc, id desc limit 1"),
        Stopped = new($"select count(*) from consents where {Same} and provider_id is not null and stopped_by > 0");

    /// <param name="agent">The agent's id; null for a program that acts itself.</param>
    /// <param name="words">By scope: what is allowed now; null for an agent.</param>
    /// <param name="authority">The same, spelled out.</param>
    /// <returns>A fault when somebody has stopped it.</returns>
    public async Task<Result<EnterpriseConsent>> PlanAsync(
        IdJag assertion, string user, ClientRecord client, string? agent, ToolServerRecord server, IReadOnlyList<string>? words, Authority authority, DateTimeOffset now, CancellationToken cancel)
    {
        // Invariant 12: what a person or an administrator ended, a program does not bring back by asking again.
        if (await store.First(Stopped.With(user, client.Id, server.Id, agent ?? ""), r => r.GetInt64(0), cancel) > 0)
            return new Fault(Names.Reasons.ConsentWithdrawn, "The access was withdrawn here.");
        var before = await store.First(Standing.With(user, client.Id, server.Id, agent ?? "", assertion.Provider.Id), Read, cancel);
        // An assertion that allows less than another did takes nothing back: it is what the client asked for there.
        if (words is not null)
        {
            var all = before is null ? words : ScopeWords.Split(before.Scope).Concat(words);
            var scope = ScopeWords.Join(all);
            return new EnterpriseConsent(before?.Id ?? Id.New(Id.Consent, now), before, client, null, server, scope, ScopeWords.ToAuthority(ScopeWords.Split(scope), server));
        }
        var held = before is null ? null : TaskRecord.ReadAuthority(before.Authority);
        return new EnterpriseConsent(
            before?.Id ?? Id.New(Id.Consent, now), before, client, agent, server, null, held is not null && authority.Exceeds(held) is null ? held : authority);
    }

    public static EnterpriseConsent.Row? Read(System.Data.Common.DbDataReader r) => new(r.GetString(0), r.IsDBNull(1) ? null : r.GetString(1), r.GetString(2));
}
