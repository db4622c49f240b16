using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Federation;

/// <summary>
/// What an identity provider's word leaves behind, within the unit that issues on it: the person if they are new, the link, their groups, and what the
/// enterprise allows.
/// </summary>
internal sealed class Federating(IdJag assertion, FederatedPerson person, EnterpriseConsent consent, DateTimeOffset now)
{
    private static readonly Sql
        LinkOf = new("select user_id from identities where provider_id = @provider and subject = @subject"),
        AddressTaken = new("select count(*) from users where lower(email) = @email"),
        InsertUser = new("insert into users (id, name, email, enabled, administrator, changed_at) values (@id, @name, @email, 1, 0, @now)"),
        Link = new("insert into identities (provider_id, subject, user_id, origin, created_at) values (@provider, @subject, @user, @origin, @now)"),
        Join = new("insert into group_members (group_id, user_id) values (@group, @user) on conflict do nothing"),
        Leave = new("delete from group_members where group_id = @group and user_id = @user"),
        InsertConsent = new(
            """
            insert into consents (id, user_id, client_id, agent_id, tool_server, redirect_uri, client_keys, scope, authority, state, granted_at, remembered_until, provider_id)
            values (@id, @user, @client, @agent, @server, '', @keys, @scope, @authority, 'active', @now, 0, @provider)
            """),
        ChangeConsent = new("update consents set scope = @scope, authority = @authority, granted_at = @now where id = @id");

    private readonly long ms = now.ToUnixTimeMilliseconds();

    /// <summary>Whether the person begins with it.</summary>
    public bool IsNewPerson => person.IsNew;

    /// <summary>Whether it writes at all; what does takes turns, so that one subject is one person on whichever nodes it comes first.</summary>
    public bool Writes => person.Changes || consent.Changes;

    /// <summary>Of the events of what is issued on it.</summary>
    public void Tell(JsonObject told) => (told["provider"], told["assertion"]) = (assertion.Provider.Id, assertion.Jti);

    /// <summary>Whether everything it was planned on is as it was.</summary>
    public bool IsCurrent(WriteTx tx)
    {
        var linked = tx.First(LinkOf.With(assertion.Provider.Id, assertion.Subject), r => r.GetString(0));
        if (linked != (person.Link is null ? person.Person.Id : null))
            return false;
        if (person.IsNew && person.Person.Email is { } email && tx.First(AddressTaken.With(Subjects.EmailKey(email)), r => r.GetInt64(0)) > 0)
            return false;
        var (user, agent) = (person.Person.Id, consent.Agent ?? "");
        return tx.First(EnterpriseConsents.Stopped.With(user, consent.Client.Id, consent.Server.Id, agent), r => r.GetInt64(0)) == 0
            && tx.First(EnterpriseConsents.Standing.With(user, consent.Client.Id, consent.Server.Id, agent, assertion.Provider.Id), EnterpriseConsents.Read) == consent.Before;
    }

    /// <summary>Writes it, and appends what happened. Only after every precondition of the unit.</summary>
    public void Run(WriteTx tx, string node)
    {
        var user = person.Person.Id;
        if (person.IsNew)
            tx.Run(InsertUser.With(user, person.Person.Name, person.Person.Email, ms));
        if (person.Link is { } origin)
            tx.Run(Link.With(assertion.Provider.Id, assertion.Subject, user, origin, ms));
        foreach (var group in person.Joins)
            tx.Run(Join.With(group, user));
        foreach (var group in person.Leaves)
            tx.Run(Leave.With(group, user));
        if (consent.Before is null)
            tx.Run(InsertConsent.With(
                consent.Id, user, consent.Client.Id, consent.Agent, consent.Server.Id, consent.Client.KeysDigest, consent.Scope, consent.Authority.ToJson(), ms, assertion.Provider.Id));
        else if (consent.Changes)
            tx.Run(ChangeConsent.With(consent.Scope, consent.Authority.ToJson(), ms, consent.Before.Id));

        string? cause = null;
        if (person.Changes)
        {
            var told = new JsonObject { ["provider"] = assertion.Provider.Id, ["subject"] = assertion.Subject };
            if (person.Joins.Count > 0)
                told["joined"] = new JsonArray([.. person.Joins.Select(g => (JsonNode?)g)]);
            if (person.Leaves.Count > 0)
                told["left"] = new JsonArray([.. person.Leaves.Select(g => (JsonNode?)g)]);
            var changed = Event(person.IsNew ? AuditTypes.PersonProvisioned : person.Link is not null ? AuditTypes.PersonLinked : AuditTypes.PersonGroupsChanged, told, null, node);
            cause = changed.Id;
            tx.Append(changed);
        }
        if (!consent.Changes)
            return;
        var allowed = new JsonObject { ["consent"] = consent.Id, ["provider"] = assertion.Provider.Id };
        if (consent.Scope is { } scope)
            allowed["scope"] = scope;
        else
            allowed["authorization_details"] = JsonNode.Parse(consent.Authority.ToJson());
        tx.Append(Event(AuditTypes.ConsentGranted, allowed, cause, node) with { Agent = consent.Agent, Resource = consent.Server.Resource });
    }

    private AuditEvent Event(string type, JsonObject told, string? cause, string node) => new()
    {
        Id = Id.New(Id.Event, now), Time = ms, Type = type, Outcome = "success", User = person.Person.Id, Client = consent.Client.Id, Cause = cause, Node = node, Data = told,
    };
}
