using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary><c>/guard/streams</c> and <c>/guard/revocations</c>: one stream per guard process, a snapshot to begin with, then a long poll (RFC 8936).</summary>
internal static class StreamsEndpoint
{
    private const int MaxEvents = 1000;

    public static void MapStreamsEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapPost(Names.Paths.GuardStreams, OpenAsync);
        routes.MapPost(Names.Paths.GuardRevocations, PollAsync);
    }

    private static async Task<IResult> OpenAsync(
        HttpContext context, GuardCallers callers, RevocationFeed feed, RegistryCache registry, ArgsKeys argsKeys, ICommitLog log, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardStreams);
        if (caller is null)
            return error!;
        var cancel = context.RequestAborted;
        var stream = Id.New(Id.Stream, time.GetUtcNow());
        await log.Commit(new OpenStream(stream, caller.Guard.Id, caller.Server.Development ? caller.Server.Id : null, time.GetUtcNow().ToUnixTimeMilliseconds()));
        if (caller.Server.Development)
            registry.Invalidate(caller.Registry.Version);
        // The cursor first: what commits after it comes by the poll, so nothing falls between snapshot and stream.
        var cursor = await feed.HighWaterAsync(cancel);
        return Results.Json(
            new StreamResponse(
                stream, cursor, await feed.SnapshotAsync(cursor, cancel), await argsKeys.OfAsync(caller.Server.Id, cancel), time.GetUtcNow().ToUnixTimeMilliseconds()),
            ProtocolJson.Default.StreamResponse, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> PollAsync(HttpContext context, GuardCallers callers, RevocationFeed feed, RegistryCache registry, StreamDirectory streams)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardRevocations);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.RevocationsRequest, Limits.TokenBody);
        if (body is null)
            return invalid!;
        if (body.After < 0 || body.MaxEvents is < 1 or > MaxEvents)
            return OAuthError.InvalidRequest($"after is a place, maxEvents lies between 1 and {MaxEvents}.");
        if (!await streams.BelongsAsync(body.Stream, caller.Guard.Id, context.RequestAborted))
            return await RefuseAsync("There is no such stream; open one.");
        // A poll that hangs holds nothing but itself. The manifest's number moves with the registry, which another process may change.
        var current = registry.Current(context.RequestAborted);
        var manifest = (await current).ToolServers[caller.Server.Id].Manifest;
        var answer = await feed.PollAsync(
            body.After, body.MaxEvents, body.ReturnImmediately ? TimeSpan.Zero : Limits.LongPoll, caller.Server.Resource,
            () => registry.Latest?.ToolServers.GetValueOrDefault(caller.Server.Id)?.Manifest ?? manifest, context.RequestAborted);
        return answer is null ? await RefuseAsync("The record does not go that far; open a stream.") : Results.Json(answer, ProtocolJson.Default.RevocationsResponse);

        async Task<IResult> RefuseAsync(string why) => await callers.RefuseAsync(caller, new OAuthError("not_found", why, StatusCodes.Status404NotFound));
    }
}

/// <summary>
/// Whose stream it is: streams never change hands. And that it is still polled, written down once a day: <see cref="PurgeUnit"/> removes one that was not for long.
/// </summary>
internal sealed class StreamDirectory(IReadStore store, ICommitLog log, TimeProvider time)
{
    private static readonly TimeSpan WrittenEvery = TimeSpan.FromDays(1);

    private static readonly Sql Find = new("select guard_id, heard_at from guard_streams where id = @id");

    private readonly Remembered<Heard> streams = new();

    public async Task<bool> BelongsAsync(string stream, string guard, CancellationToken cancel)
    {
        if (streams.Find(stream) is not { } known)
        {
            if (await store.First(Find.With(stream), r => new Heard(r.GetString(0), r.GetInt64(1)), cancel) is not { } found)
                return false;
            known = streams.Add(stream, found);
        }
        if (known.Guard != guard)
            return false;
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        if (now - known.At < (long)WrittenEvery.TotalMilliseconds)
            return true;
        // What was written down so long ago may be gone.
        if (!await log.Commit(new HearStream(stream, now)))
            return false;
        streams.Add(stream, known with { At = now });
        return true;
    }

    /// <param name="At">When it was last written down that it is polled; never later than what the store says.</param>
    private sealed record Heard(string Guard, long At);
}

/// <summary>A guard polls the stream. False when it was removed.</summary>
internal sealed class HearStream(string id, long now) : Unit<bool>
{
    private static readonly Sql Hear = new("update guard_streams set heard_at = @now where id = @id");

    public override StateLock Lock => StateLock.None;

    public override bool Apply(WriteTx tx) => tx.Run(Hear.With(now, id)) > 0;
}

/// <param name="developed">The guard's tool server when it is in developer mode: a guard that starts there counts as one that has not reported yet.</param>
internal sealed class OpenStream(string id, string guard, string? developed, long now) : Unit<int>
{
    private static readonly Sql Insert = new("insert into guard_streams (id, guard_id, created_at, heard_at) values (@id, @guard, @now, @now)");

    public override StateLock Lock => developed is null ? StateLock.None : StateLock.Exclusive;

    public override int Apply(WriteTx tx)
    {
        if (developed is not null)
            SaidByGuards.Forget(tx, developed, guard);
        return tx.Run(Insert.With(id, guard, now));
    }
}
