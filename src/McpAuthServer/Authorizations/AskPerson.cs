using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>What became of an agent's question: it waits now, or why it does not.</summary>
/// <param name="Replayed">The space of what was single-use and was used before.</param>
/// <param name="Reason">Why the person is not asked, and for how long.</param>
internal readonly record struct Asking(string? Replayed = null, string? Reason = null, TimeSpan Wait = default);

/// <summary>Earlier questions of one person, as far as they bear on the next.</summary>
internal readonly record struct EarlierAsking(string Agent, string State, DateTimeOffset Asked, DateTimeOffset Expires, DateTimeOffset? Answered);

/// <summary>Lets a question wait for a person, unless they were asked too much already.</summary>
/// <param name="waits">As it is stored.</param>
internal sealed class AskPerson(BackchannelRequest waits, AskingLimits limits, IReadOnlyList<Once> consume, AuditEvent asked) : Unit<Asking>
{
    /// <summary>The time over which questions are counted; none waits for longer.</summary>
    private static readonly TimeSpan Counted = TimeSpan.FromHours(1);

    private static readonly Sql
        Lately = new("select agent_id, state, asked_at, expires_at, answered_at from backchannel_requests where user_id = @user and asked_at > @since order by asked_at desc"),
        Insert = new(
            """
            insert into backchannel_requests (hash, client_id, form, jkt, state, pause_ms, expires_at, user_id, agent_id, instance_id, message, asked_at, asked_event)
            values (@hash, @client, @form, @jkt, 'pending', @pause, @expires, @user, @agent, @instance, @message, @now, @event)
            """);

    // Two questions at once must not both be the last that is allowed.
    public override StateLock Lock => StateLock.Exclusive;

    public override Asking Apply(WriteTx tx)
    {
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(asked with { Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay, Data = null });
                return new(Replayed: once.Space);
            }
        var before = tx.All(Lately.With(waits.UserId, (waits.Asked - Counted).ToUnixTimeMilliseconds()), r => new EarlierAsking(
            r.GetString(0), r.GetString(1), Time(r.GetInt64(2)), Time(r.GetInt64(3)), r.IsDBNull(4) ? null : Time(r.GetInt64(4))));
        if (Refusal(before, waits.AgentId, limits, waits.Asked) is { } refusal)
        {
            tx.Append(asked with { Type = AuditTypes.AskingRefused, Outcome = "refused", Reason = refusal.Reason, Data = null });
            return refusal;
        }
        var request = waits.Request;
        tx.Run(Insert.With(
            request.Hash, request.ClientId, request.Form, request.Thumbprint, (long)PolledRequests.Interval.TotalMilliseconds, request.Expires.ToUnixTimeMilliseconds(),
            waits.UserId, waits.AgentId, waits.Instance, waits.Message, waits.Asked.ToUnixTimeMilliseconds(), waits.AskedEvent));
        tx.Append(asked);
        return default;
    }

    /// <summary>Why <paramref name="agent"/> may not ask now; null when it may.</summary>
    /// <param name="before">Of one person, newest first.</param>
    internal static Asking? Refusal(IReadOnlyList<EarlierAsking> before, string agent, AskingLimits limits, DateTimeOffset now)
    {
        var own = before.Where(q => q.Agent == agent).ToList();
        if (own.Where(q => q.State == PolledRequest.Denied).Max(q => q.Answered) is { } denied && denied + AskingLimits.Pause > now)
            return new(null, Names.Reasons.DeniedLately, denied + AskingLimits.Pause - now);
        foreach (var (waiting, most) in new[] { (Waiting(own), limits.Waiting), (Waiting(before), limits.WaitingInAll) })
            if (waiting.Count >= most)
                return new(null, Names.Reasons.TooManyWaiting, waiting.Min(q => q.Expires) - now);
        return own.Count >= limits.PerHour ? new(null, Names.Reasons.AskedTooOften, own[limits.PerHour - 1].Asked + Counted - now) : null;

        List<EarlierAsking> Waiting(IEnumerable<EarlierAsking> all) => [.. all.Where(q => q.State == PolledRequest.Pending && q.Expires > now)];
    }

    private static DateTimeOffset Time(long ms) => DateTimeOffset.FromUnixTimeMilliseconds(ms);
}
