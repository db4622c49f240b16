using System.Data.Common;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>What an agent asks of a person who is elsewhere (CIBA).</summary>
/// <param name="Instance">The attested instance that asked, where it proved to be one.</param>
/// <param name="Message">The line that stands on both sides.</param>
/// <param name="AskedEvent">The event that says so: the cause of what follows.</param>
internal sealed record BackchannelRequest(
    PolledRequest Request, string UserId, string AgentId, string? Instance, string? Message, DateTimeOffset Asked, string AskedEvent)
{
    public const string Columns = PolledRequest.Columns + ", user_id, agent_id, instance_id, message, asked_at, asked_event";

    public static BackchannelRequest? Read(DbDataReader r)
    {
        const int First = PolledRequest.Width;
        return new(
            PolledRequest.Read(r), r.GetString(First), r.GetString(First + 1), r.IsDBNull(First + 2) ? null : r.GetString(First + 2), r.IsDBNull(First + 3) ? null : r.GetString(First + 3),
            DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(First + 4)), r.GetString(First + 5));
    }
}

/// <summary>What waits for people, from the asking until they have answered.</summary>
internal sealed class BackchannelRequests(ICommitLog log, IReadStore store, PolledRequests polled, AuditTrail trail, ServerOptions options, TimeProvider time)
{
    /// <summary>Of an <c>auth_req_id</c>.</summary>
    public const string Prefix = "arq_";

    private const int Batch = 100;

    private static readonly Sql
        ByHash = new($"select {BackchannelRequest.Columns} from backchannel_requests where hash = @hash"),
        ForPerson = new($"select {BackchannelRequest.Columns} from backchannel_requests where user_id = @user and state = 'pending' and expires_at > @now order by asked_at, hash"),
        Due = new($"select {BackchannelRequest.Columns} from backchannel_requests where state = 'pending' and expires_at <= @now order by expires_at limit @batch");

    public Task<Asking> AskAsync(BackchannelRequest request, IReadOnlyList<Once> consume, AuditEvent asked) =>
        log.Commit(new AskPerson(request, options.RateLimits.Asking, consume, asked));

    /// <summary>The request, for the page that asks the person. Another's is not told apart from none.</summary>
    public async Task<ReadRequest> ReadAsync(string hash, string user, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var found = await store.First(ByHash.With(hash), BackchannelRequest.Read, cancel);
        return found?.UserId == user ? await ReadAsync(found, registry, now, cancel) : new ReadRequest.Unanswerable("Nothing like this waits for you.", "another_person", null);
    }

    /// <summary>What waits for the person and can be answered, in the order in which it was asked.</summary>
    public async Task<IReadOnlyList<AuthorizationRequest>> WaitingForAsync(string user, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var waiting = new List<AuthorizationRequest>();
        foreach (var request in await store.All(ForPerson.With(user, now.ToUnixTimeMilliseconds()), BackchannelRequest.Read, cancel))
            if (await ReadAsync(request!, registry, now, cancel) is ReadRequest.Valid { Request: var valid })
                waiting.Add(valid);
        return waiting;
    }

    /// <summary>Records of what nobody answered in time that it is over. It was refused before that already.</summary>
    public async Task ExpireDueAsync(CancellationToken cancel)
    {
        List<BackchannelRequest?> due;
        do
        {
            due = await store.All(Due.With(time.GetUtcNow().ToUnixTimeMilliseconds(), Batch), BackchannelRequest.Read, cancel);
            foreach (var request in due)
                await log.Commit(new Expire(request!, trail.Refusal(AuditTypes.AskingExpired, "not_answered")));
        }
        while (due.Count == Batch && !cancel.IsCancellationRequested);
    }

    private async Task<ReadRequest> ReadAsync(BackchannelRequest found, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var (request, recipient) = (found.Request, new BackchannelRecipient(found.Request.Hash, found.Message, found.Asked, found.Request.Expires));
        var (client, asked, refused) = await polled.WhatForAsync(request, registry, now, cancel);
        if (refused is not null)
            return refused;
        return client.AgentId != found.AgentId
            ? new ReadRequest.Unanswerable("The program that asks is another agent's now.", McpAuth.Protocol.Names.Reasons.ActorUnauthorized, client.Id)
            : new ReadRequest.Valid(new AuthorizationRequest(client, recipient, asked, new HashSet<string>(), null)
            {
                Thumbprint = request.Thumbprint, Subject = found.UserId, Instance = found.Instance, Cause = found.AskedEvent,
            });
    }

    private sealed class Expire(BackchannelRequest request, AuditEvent expired) : Unit<bool>
    {
        private static readonly Sql Mark = new("update backchannel_requests set state = 'expired' where hash = @hash and state = 'pending'");

        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx)
        {
            if (tx.Run(Mark.With(request.Request.Hash)) == 0)
                return false;
            tx.Append(expired with { User = request.UserId, Agent = request.AgentId, Instance = request.Instance, Client = request.Request.ClientId, Cause = request.AskedEvent });
            return true;
        }
    }
}
