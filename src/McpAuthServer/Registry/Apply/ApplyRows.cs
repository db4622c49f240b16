using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>Writes users, groups, agents, clients and edges.</summary>
internal static class ApplyRows
{
    /// <summary>What is empty for a client that an administrator registered. By naming it in a file they make it theirs, and it manages itself no more.</summary>
    private static readonly string[] OfOthers = ["origin", "metadata", "registration_hash", "expires_at", "fresh_until"];

    private static readonly UpsertTable
        Users = new("users", ["id"], ["name", "email", "enabled", "administrator"], []),
        Groups = new("groups", ["id"], ["name"], [], stamped: false),
        Agents = new("agents", ["id"], ["name", "owner", "purpose", "tool_class", "state", "ceiling", "hand_off_to", "require_dpop", "client_credentials",
            "max_task_seconds", "review_at"], []),
        Clients = new("clients", ["id"], ["name", "agent_id", "auth_method", "secret_hash", "jwks", "grant_types", "legacy_audience", "authority", "state",
            "redirect_uris", "tool_servers", "post_logout_redirect_uris", "introspects", "certificate_subject", "certificates", "binds_to_certificate", "administers", .. OfOthers], []),
        Classes = new("tool_classes", ["name"], ["exclusive"], []),
        Issuers = new("workload_issuers", ["id"], ["name", "kind", "issuer", "audience", "jwks", "jwks_uri", "longest_seconds", "state"], []),
        Edges = new("edges", ["from_server", "from_tool", "to_server"], ["to_tools"], [], stamped: false);

    private static readonly Sql
        Memberships = new("select group_id from group_members where user_id = @user"),
        Join = new("insert into group_members (group_id, user_id) values (@group, @user)"),
        BindingsOf = new("select issuer_id, selectors, client_id from trust_bindings where agent_id = @agent"),
        Bind = new("insert into trust_bindings (agent_id, issuer_id, selectors, client_id) values (@agent, @issuer, @selectors, @client)"),
        Unbind = new("delete from trust_bindings where agent_id = @agent and issuer_id = @issuer and selectors = @selectors"),
        Leave = new("delete from group_members where group_id = @group and user_id = @user");

    public static void Group(ApplyChanges changes, AppliedGroup group)
    {
        var stored = Groups.Read(changes.Tx, group.Id);
        changes.Note("group", group.Id, stored is null, Groups.Write(changes.Tx, [group.Id], stored, [group.Name], changes.Now));
    }

    public static void User(ApplyChanges changes, AppliedUser user)
    {
        var tx = changes.Tx;
        var stored = Users.Read(tx, user.Id);
        var was = stored is null || stored[2] is not 0L;
        var enabled = user.Enabled ?? was;
        var administrator = user.Administrator ?? stored?[3] is 1L;
        IEnumerable<string> members = Users.Write(tx, [user.Id], stored, [user.Name, user.Email?.Value, enabled ? 1L : 0L, administrator ? 1L : 0L], changes.Now);
        members = members.Concat(ApplyAccounts.Write(changes, user)).ToList();

        var before = tx.All(Memberships.With(user.Id), row => row.GetString(0));
        var after = user.Groups.Select(g => g.Value).ToList();
        foreach (var group in after.Except(before, StringComparer.Ordinal))
            tx.Run(Join.With(group, user.Id));
        foreach (var group in before.Except(after, StringComparer.Ordinal))
            tx.Run(Leave.With(group, user.Id));
        if (!before.ToHashSet(StringComparer.Ordinal).SetEquals(after))
            members = members.Append("groups");
        changes.Note(SubjectKind.User, user.Id, stored is null, members);

        if (stored is null || was == enabled)
            return;
        if (enabled)
            changes.NoteState(AuditTypes.UserEnabled, SubjectKind.User, user.Id);
        else
            Suspending.Shut(changes, user.Id);
    }

    public static void Agent(ApplyChanges changes, AppliedAgent agent)
    {
        var stored = Agents.Read(changes.Tx, agent.Id);
        var was = (string?)stored?[4];
        var state = agent.State ?? was ?? RegistryState.Active;
        changes.Note(SubjectKind.Agent, agent.Id, stored is null, Agents.Write(changes.Tx, [agent.Id], stored,
            [agent.Name, agent.Owner.Value, agent.Purpose, agent.ToolClass, state, agent.Ceiling.Value.ToJson(),
                StoredText.FromSet(agent.HandOffTo.Select(a => a.Value)), agent.RequireDpop ? 1L : 0L, agent.ClientCredentials ? 1L : 0L,
                agent.MaxTaskSeconds, agent.ReviewAt], changes.Now));
        Transition(changes, SubjectKind.Agent, agent.Id, was, state, Names.Reasons.AgentSuspended,
            AuditTypes.AgentSuspended, AuditTypes.AgentRetired, AuditTypes.AgentResumed);
    }

    public static void Client(ApplyChanges changes, AppliedClient client)
    {
        var stored = Clients.Read(changes.Tx, client.Id);
        var was = (string?)stored?[8];
        var state = client.State ?? was ?? RegistryState.Active;
        var columns = Clients.Write(changes.Tx, [client.Id], stored,
            [client.Name, client.Agent?.Value, client.AuthMethod, client.SecretHash, client.Jwks, StoredText.FromSet(client.GrantTypes),
                client.LegacyAudience ? 1L : 0L, client.Authority.Value.ToJson(), state, StoredText.FromSet(client.RedirectUris),
                StoredText.FromSet(client.ToolServers.Select(s => s.Value)), StoredText.FromSet(client.PostLogoutRedirectUris), client.Introspects?.Value,
                client.CertificateSubject, StoredText.FromSet(client.Certificates), client.BindsToCertificate ? 1L : 0L, client.Administers ? 1L : 0L, ClientOrigin.Registered, null, null, null, null], changes.Now);
        changes.Note(SubjectKind.Client, client.Id, stored is null, columns.Except(OfOthers.Skip(1), StringComparer.Ordinal).Where(c => stored is not null || c != "origin").Select(c => c switch { "agent_id" => "agent", "secret_hash" => "secret", _ => c }));
        Transition(changes, SubjectKind.Client, client.Id, was, state, Names.Reasons.Revoked,
            AuditTypes.ClientSuspended, AuditTypes.ClientRetired, AuditTypes.ClientResumed);
    }

    public static void ToolClass(ApplyChanges changes, AppliedToolClass toolClass)
    {
        var stored = Classes.Read(changes.Tx, toolClass.Name);
        changes.Note("tool_class", toolClass.Name, stored is null, Classes.Write(changes.Tx, [toolClass.Name], stored, [toolClass.Exclusive ? 1L : 0L], changes.Now));
    }

    public static void WorkloadIssuer(ApplyChanges changes, AppliedIssuer issuer)
    {
        var stored = Issuers.Read(changes.Tx, issuer.Id);
        changes.Note("workload_issuer", issuer.Id, stored is null, Issuers.Write(changes.Tx, [issuer.Id], stored,
            [issuer.Name, issuer.Kind, issuer.Issuer.Value, issuer.Audience, issuer.Jwks, issuer.JwksUri, issuer.LongestSeconds, issuer.State ?? stored?[7] ?? RegistryState.Active],
            changes.Now));
    }

    /// <summary>All of an agent's bindings are those of the file.</summary>
    public static void Trust(ApplyChanges changes, AppliedAgent agent)
    {
        var before = changes.Tx.All(BindingsOf.With(agent.Id), r => (Issuer: r.GetString(0), Selectors: r.GetString(1), Client: r.GetString(2)));
        var after = agent.Trust.Select(b => (Issuer: b.Issuer.Value, b.Selectors, Client: b.Client.Value)).Distinct().ToList();
        var (gone, come) = (before.Except(after).ToList(), after.Except(before).ToList());
        foreach (var (issuer, selectors, _) in gone)
            changes.Tx.Run(Unbind.With(agent.Id, issuer, selectors));
        foreach (var (issuer, selectors, client) in come)
            changes.Tx.Run(Bind.With(agent.Id, issuer, selectors, client));
        if (gone.Count + come.Count > 0)
            changes.Note(SubjectKind.Agent, agent.Id, created: false, ["trust"]);
    }

    public static void Edge(ApplyChanges changes, AppliedEdge edge)
    {
        object?[] key = [edge.FromServer.Value, edge.FromTool.Value, edge.ToServer.Value];
        var stored = Edges.Read(changes.Tx, key);
        changes.Note("edge", $"{edge.FromServer.Value}/{edge.FromTool.Value} -> {edge.ToServer.Value}", stored is null,
            Edges.Write(changes.Tx, key, stored, [StoredText.FromSet(edge.ToTools.Select(t => t.Value))], changes.Now));
    }

    /// <summary>Stopping denies every token of the subject at the guards, in the same transaction; going on lifts that.</summary>
    public static void Transition(
        ApplyChanges changes, string kind, string id, string? was, string state, string reason, string suspended, string retired, string resumed)
    {
        // A new one has no tokens.
        if (was is null || was == state)
            return;
        changes.NoteState(state switch { RegistryState.Active => resumed, RegistryState.Retired => retired, _ => suspended }, kind, id);
        if (state == RegistryState.Active)
            Revocations.Lift(changes.Tx, kind, id, "resumed", changes.Now);
        else if (was == RegistryState.Active)
            Revocations.Deny(changes.Tx, kind, id, reason, changes.Now);
    }
}
