using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>Stops what is registered without a file: the same rows, events and words to the guards as if one said so.</summary>
internal static class Suspending
{
    private static readonly Sql
        AgentState = new("select state from agents where id = @id"),
        ClientState = new("select state from clients where id = @id"),
        ServerState = new("select state from tool_servers where id = @id"),
        UserEnabled = new("select enabled from users where id = @id"),
        SuspendAgent = new("update agents set state = 'suspended', changed_at = @now where id = @id and state = 'active'"),
        SuspendClient = new("update clients set state = 'suspended', changed_at = @now where id = @id and state = 'active'"),
        SuspendServer = new("update tool_servers set state = 'suspended', changed_at = @now where id = @id and state = 'active'"),
        DisableUser = new("update users set enabled = 0, changed_at = @now where id = @id and enabled = 1");

    /// <summary>False when there is no such agent, client or tool server; what had stopped before stays as it is.</summary>
    /// <param name="kind">One of <see cref="SubjectKind"/>.</param>
    public static bool Suspend(ApplyChanges changes, string kind, string id)
    {
        var (state, suspend) = kind switch
        {
            SubjectKind.Agent => (AgentState, SuspendAgent),
            SubjectKind.Client => (ClientState, SuspendClient),
            _ => (ServerState, SuspendServer),
        };
        if (changes.Tx.First(state.With(id), r => r.GetString(0)) is null)
            return false;
        if (changes.Tx.Run(suspend.With(changes.Now, id)) == 0)
            return true;
        changes.Note(kind, id, created: false, ["state"]);
        if (kind == SubjectKind.Agent)
            Stop(Names.Reasons.AgentSuspended, AuditTypes.AgentSuspended, AuditTypes.AgentRetired, AuditTypes.AgentResumed);
        else if (kind == SubjectKind.Client)
            Stop(Names.Reasons.Revoked, AuditTypes.ClientSuspended, AuditTypes.ClientRetired, AuditTypes.ClientResumed);
        return true;

        void Stop(string reason, string suspended, string retired, string resumed) =>
            ApplyRows.Transition(changes, kind, id, RegistryState.Active, RegistryState.Suspended, reason, suspended, retired, resumed);
    }

    /// <summary>False when there is no such user.</summary>
    public static bool Disable(ApplyChanges changes, string id)
    {
        if (changes.Tx.First(UserEnabled.With(id), r => (long?)r.GetInt64(0)) is null)
            return false;
        if (changes.Tx.Run(DisableUser.With(changes.Now, id)) == 0)
            return true;
        changes.Note(SubjectKind.User, id, created: false, ["enabled"]);
        Shut(changes, id);
        return true;
    }

    /// <summary>The user was disabled.</summary>
    public static void Shut(ApplyChanges changes, string id)
    {
        changes.NoteState(AuditTypes.UserDisabled, SubjectKind.User, id);
        changes.EndSessions(id, Names.Reasons.UserDisabled);
        // The denial ends at a moment, so it needs no lifting: what was issued before stays dead when the person comes back.
        Revocations.Deny(changes.Tx, SubjectKind.User, id, Names.Reasons.UserDisabled, changes.Now, before: changes.Now / 1000);
    }
}
