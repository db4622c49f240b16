using System.Data.Common;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>A request whose client asks again and again until a person has answered.</summary>
/// <param name="Hash">Of what the client asks with.</param>
/// <param name="Form">What is asked for, encoded.</param>
/// <param name="Thumbprint">Of the key that polls, where one was proved.</param>
/// <param name="State">One of those below.</param>
internal sealed record PolledRequest(string Hash, string ClientId, string Form, string? Thumbprint, string State, DateTimeOffset Expires)
{
    public const string Pending = "pending", Approved = "approved", Denied = "denied", Expired = "expired";

    public const string Columns = "hash, client_id, form, jkt, state, expires_at";

    /// <summary>How many there are: the place of the first column after them.</summary>
    public const int Width = 6;

    public static PolledRequest Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.GetString(2), r.IsDBNull(3) ? null : r.GetString(3), r.GetString(4), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(5)));
}

/// <summary>How a client's question went.</summary>
internal enum PollOutcome { Pending, TooSoon, Denied, Expired, Approved, Replayed }

/// <summary>A table of such requests, and what is the same in all of them.</summary>
internal sealed class PolledTable(string name)
{
    public static readonly PolledTable Devices = new("device_requests"), Backchannel = new("backchannel_requests");

    public Sql Find { get; } = new($"select {PolledRequest.Columns} from {name} where hash = @hash");

    public Sql Approve { get; } = new($"update {name} set state = 'approved', answered_at = @now where hash = @hash and state = 'pending' and expires_at > @now");

    public Sql Deny { get; } = new($"update {name} set state = 'denied', answered_at = @now where hash = @hash and state = 'pending'");

    public Sql State { get; } = new($"select state, pause_ms, polled_at, expires_at from {name} where hash = @hash");

    public Sql Polled { get; } = new($"update {name} set polled_at = @now, pause_ms = @pause where hash = @hash");
}

/// <summary>A recipient that polls for the answer.</summary>
/// <param name="hash">Of what it asks with.</param>
internal abstract class PolledRecipient(PolledTable table, string hash, DateTimeOffset expires) : Recipient
{
    public PolledTable Table => table;

    public string Hash => hash;

    public DateTimeOffset Expires => expires;

    /// <summary>False when it was answered before, or waits no longer.</summary>
    public bool Approve(WriteTx tx, long now) => tx.Run(table.Approve.With(now, hash)) == 1;
}

/// <summary>What requests have in common from their beginning until a person has answered (RFC 8628 §3.4, CIBA §10.1).</summary>
internal sealed class PolledRequests(ICommitLog log, IReadStore store, ClientDirectory clients, AuditTrail trail, TimeProvider time)
{
    /// <summary>RFC 8628 §3.2, CIBA §7.3.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(10), Interval = TimeSpan.FromSeconds(5);

    public Task<PolledRequest?> FindAsync(PolledTable table, string hash, CancellationToken cancel) =>
        store.First(table.Find.With(hash), r => (PolledRequest?)PolledRequest.Read(r), cancel);

    /// <summary>What a request asks for as of now; or why nobody can answer it.</summary>
    /// <param name="request">Null: there is none.</param>
    public async Task<(ClientRecord Client, Asked Asked, ReadRequest.Unanswerable? Refused)> WhatForAsync(
        PolledRequest? request, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        if (request is not { State: PolledRequest.Pending } || request.Expires <= now)
            return Refuse("This request waits no longer, or it was answered already. Whoever still needs an answer has to ask again.", Names.Reasons.Expired, null);
        if (await clients.FindAsync(request.ClientId, registry, cancel) is not { Active: true } client)
            return Refuse("The program that asks is no longer registered.", ClientDirectory.UnknownClient, request.ClientId);
        return AuthorizationRequests.Parse(request.Form).TryGet(out var form, out var fault) && AuthorizationRequests.WhatFor(form, client, registry, now).TryGet(out var asked, out fault)
            ? (client, asked, null)
            : Refuse("What is asked for is no longer to be had.", fault!.Code, client.Id);

        static (ClientRecord, Asked, ReadRequest.Unanswerable?) Refuse(string description, string reason, string? client) => (null!, null!, new(description, reason, client));
    }

    /// <summary>A person said no. False when that answer, or another one, came before.</summary>
    public Task<bool> DenyAsync(PolledRecipient recipient, AuditEvent denied, Once decision) => log.Commit(new Deny(recipient, denied, decision, Now));

    /// <summary>
    /// A client asks (RFC 8628 §3.5, CIBA §11). Whoever asks before the interval is over must wait longer from then on. What is single-use is consumed
    /// unless the answer is <see cref="PollOutcome.Approved"/>: then whatever is issued consumes it.
    /// </summary>
    /// <returns>With <see cref="PollOutcome.Replayed"/>, the space of what was used before.</returns>
    public Task<(PollOutcome Outcome, string? Replayed)> PollAsync(PolledTable table, string hash, string client, IReadOnlyList<Once> consume) =>
        log.Commit(new Poll(table, hash, consume, trail.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Client = client }, Now));

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();

    private sealed class Deny(PolledRecipient recipient, AuditEvent denied, Once decision, long now) : Unit<bool>
    {
        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx)
        {
            if (!decision.Consume(tx))
            {
                tx.Append(denied with { Type = AuditTypes.ReplayDetected, Reason = Names.Reasons.Replay });
                return false;
            }
            tx.Append(denied);
            return tx.Run(recipient.Table.Deny.With(now, recipient.Hash)) == 1;
        }
    }

    private sealed class Poll(PolledTable table, string hash, IReadOnlyList<Once> consume, AuditEvent replayed, long now) : Unit<(PollOutcome, string?)>
    {
        public override StateLock Lock => StateLock.None;

        public override (PollOutcome, string?) Apply(WriteTx tx)
        {
            var (state, pause, polled, expires) = tx.First(table.State.With(hash), r => (r.GetString(0), r.GetInt64(1), r.IsDBNull(2) ? (long?)null : r.GetInt64(2), r.GetInt64(3)));
            if (state == PolledRequest.Approved)
                return (PollOutcome.Approved, null);
            foreach (var once in consume)
                if (!once.Consume(tx))
                {
                    tx.Append(replayed);
                    return (PollOutcome.Replayed, once.Space);
                }
            if (state == PolledRequest.Denied)
                return (PollOutcome.Denied, null);
            if (expires <= now)
                return (PollOutcome.Expired, null);
            // RFC 8628 §3.5, CIBA §11: slow_down adds five seconds, to this and all later intervals.
            var soon = polled + pause > now;
            tx.Run(table.Polled.With(now, soon ? pause + (long)Interval.TotalMilliseconds : pause, hash));
            return (soon ? PollOutcome.TooSoon : PollOutcome.Pending, null);
        }
    }
}
