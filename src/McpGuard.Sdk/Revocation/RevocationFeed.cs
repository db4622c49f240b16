using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Revocation;

/// <summary>
/// Keeps the deny table current: a snapshot, then long polls (RFC 8936). Two polls overlap, because freshness counts from the moment a
/// poll was sent: with one at a time it would reach the two-second bound at every heartbeat.
/// </summary>
internal sealed partial class RevocationFeed(
    GuardConnection connection, IssuerKeys keys, DenyTable table, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<RevocationFeed> logger) : IDisposable
{
    private static readonly TimeSpan Stagger = TimeSpan.FromMilliseconds(750), AskFor = TimeSpan.FromSeconds(4),
        Stood = TimeSpan.FromMilliseconds(200), FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(1), Rebuild = TimeSpan.FromSeconds(30);
    private const int Overlap = 2, MostCuts = 3;

    private readonly SemaphoreSlim applying = new(1);
    private string stream = "";
    private long cursor, manifest;
    private long ahead;          // of this clock before the server's, in ticks, as it was last seen
    private long heard;          // timestamp of the sending of the last poll that left nothing open; 0 = never
    private int loaded;

    /// <summary>The snapshot was applied: calls can be decided.</summary>
    public bool Loaded => Volatile.Read(ref loaded) == 1;

    /// <summary>How long ago the state this table shows was known to be all of it.</summary>
    public TimeSpan Age => Loaded ? time.GetElapsedTime(Volatile.Read(ref heard)) : TimeSpan.MaxValue;

    /// <summary>False = the table alone may not decide: ask about every token.</summary>
    public bool Fresh => Loaded && !table.Overflowed && Age <= Limits.GuardStale;

    /// <summary>This machine's clock differs from the server's by more than tokens are forgiven: whether one is over cannot be said.</summary>
    public bool ClockOff => TimeSpan.FromTicks(Math.Abs(Volatile.Read(ref ahead))) > Limits.ClockSkew;

    /// <summary>The manifest's version as the server last said; changes when a tool changed state.</summary>
    public long Manifest => Volatile.Read(ref manifest);

    /// <summary>Raised with every word on the manifest's version.</summary>
    public event Action<long>? ManifestSeen;

    /// <summary>Polls until cancelled; nothing that the server or the network does ends it.</summary>
    public async Task Run(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        while (!cancellationToken.IsCancellationRequested)
        {
            long? opened = null;
            try
            {
                await Open(cancellationToken);
                opened = time.GetTimestamp();
                await PollOn(cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.Interrupted(logger, e.Message);
                // A stream that stood was cut by the network, however often that happens. What is spared is a server that cannot serve one, or whose events cannot be applied.
                if (opened is { } since && time.GetElapsedTime(since) >= Stood && e is not InvalidDataException) pause = FirstPause;
                await Task.Delay(pause, time, cancellationToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private async Task Open(CancellationToken cancellationToken)
    {
        GuardChannel channel = await connection.Channel(cancellationToken);
        long sent = time.GetTimestamp();
        StreamResponse opened = await channel.OpenStream(cancellationToken).WaitAsync(AskFor, time, cancellationToken);
        Compare(opened.Time);
        await applying.WaitAsync(cancellationToken);
        try
        {
            connection.Learn(opened.ArgsKey);
            foreach (Denied denied in opened.Snapshot) Distrust(denied.Kind, denied.Id);
            table.Load(opened.Snapshot);
            (stream, cursor) = (opened.Stream, opened.Cursor);
            Volatile.Write(ref heard, sent);
            Volatile.Write(ref loaded, 1);
        }
        finally
        {
            applying.Release();
        }
        if (table.Overflowed) Log.Overflowed(logger, opened.Snapshot.Count);
        else Log.Opened(logger, opened.Snapshot.Count);
    }

    private async Task PollOn(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var polls = new List<SentPoll>(Overlap);
        long opened = time.GetTimestamp(), lastSent = 0;
        (int Count, long At) cuts = default; // since something was answered, and when the last was noticed
        try
        {
            while (true)
            {
                if (polls.Count < Overlap && (polls.Count == 0 || time.GetElapsedTime(lastSent) >= Stagger))
                {
                    lastSent = time.GetTimestamp();
                    polls.Add(new SentPoll(Poll(stop.Token), lastSent));
                }
                TimeSpan due = Stagger - time.GetElapsedTime(lastSent);
                IEnumerable<Task> answers = polls.Select(p => p.Answer);
                Task next = await Task.WhenAny(
                    polls.Count < Overlap ? answers.Append(Task.Delay(due > TimeSpan.Zero ? due : TimeSpan.FromMilliseconds(1), time, cancellationToken)) : answers);
                cancellationToken.ThrowIfCancellationRequested();
                int over = polls.FindIndex(p => p.Answer == next);
                if (over < 0) continue;
                long sent = polls[over].At;
                polls.RemoveAt(over);
                try
                {
                    await next;
                    cuts = default;
                }
                // A connection that was cut is no word of the server's: the stream is still there, and what came meanwhile too. So the question is put again at once, and
                // again while there may be another connection that was cut with it. When nothing helps, a stream is opened anew.
                catch (HttpRequestException e) when (e.InnerException is IOException && (cuts.Count < MostCuts || sent <= cuts.At))
                {
                    if (cuts.Count == 0) Log.Cut(logger, e.Message);
                    if (sent > cuts.At) cuts = (cuts.Count + 1, time.GetTimestamp());
                }
                table.Purge();
                // What did not fit once is missing until the whole is read again.
                if (table.Overflowed && time.GetElapsedTime(opened) > Rebuild) return;
            }
        }
        finally
        {
            await stop.CancelAsync();
            try
            {
                await Task.WhenAll(polls.Select(p => p.Answer));
            }
            catch (Exception e) when (e is OperationCanceledException or HttpRequestException or OAuthErrorException or TimeoutException or InvalidDataException)
            {
                // Its reason is the one that is already on its way, or a cancellation of ours.
            }
        }
    }

    private async Task Poll(CancellationToken cancellationToken)
    {
        GuardChannel channel = await connection.Channel(cancellationToken);
        long sent = time.GetTimestamp();
        RevocationsResponse answer = await channel.Poll(new RevocationsRequest(stream, Volatile.Read(ref cursor)), cancellationToken).WaitAsync(AskFor, time, cancellationToken);
        Compare(answer.Time);
        await applying.WaitAsync(cancellationToken);
        try
        {
            await Apply(answer, cancellationToken);
            // Later polls may have answered first; freshness never goes back. What is still to be fetched is not known yet.
            if (!answer.MoreAvailable && cursor >= answer.HighWater && sent > heard) Volatile.Write(ref heard, sent);
        }
        finally
        {
            applying.Release();
        }
        Volatile.Write(ref manifest, answer.Manifest);
        ManifestSeen?.Invoke(answer.Manifest);
    }

    /// <summary>Applies in <c>seq</c> order, which is commit order. One event that cannot be verified stops here: skipping it could lose a revocation.</summary>
    private async Task Apply(RevocationsResponse answer, CancellationToken cancellationToken)
    {
        foreach ((string jti, string compact) in answer.Sets.OrderBy(s => answer.Seq.TryGetValue(s.Key, out long seq) ? seq : throw Broken("an event has no place")))
        {
            long seq = answer.Seq[jti];
            if (seq <= cursor) continue; // the overlapping poll brought it already
            if (!(await SecurityEvent.Read(compact, jti, options.Value.AuthorizationServer, options.Value.Resource, keys, cancellationToken))
                .TryGet(out SecurityEvent? read, out Fault? fault)) throw Broken(fault.ToString());
            if (!read.Lifted) Distrust(read.Kind, read.Subject);
            if (read.Lifted) table.Lift(read.Subject);
            else table.Deny(read.Subject, read.Until, read.Before);
            Volatile.Write(ref cursor, seq);
        }
        // Places in between belong to other tool servers.
        if (!answer.MoreAvailable && answer.HighWater > cursor) Volatile.Write(ref cursor, answer.HighWater);
    }

    /// <summary>The server says the time as it answers; what the answer is on its way is far below what counts.</summary>
    private void Compare(long? said)
    {
        if (said is not { } theirs) return;
        bool was = ClockOff;
        TimeSpan difference = time.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds(theirs);
        Volatile.Write(ref ahead, difference.Ticks);
        double seconds = Math.Abs(difference.TotalSeconds);
        if (ClockOff && !was) Log.ClockOff(logger, seconds, difference > TimeSpan.Zero ? "ahead of" : "behind");
    }

    /// <summary>A signing key of the server that is in other hands: beside what stands in the table for its tokens, nothing more is verified with it.</summary>
    private void Distrust(string? kind, string subject)
    {
        if (kind == RevocationEvents.SigningKey && subject.StartsWith(Id.SigningKey, StringComparison.Ordinal)) keys.Revoke(subject[Id.SigningKey.Length..]);
    }

    public void Dispose() => applying.Dispose();

    /// <param name="At">The timestamp of its sending.</param>
    private readonly record struct SentPoll(Task Answer, long At);

    private static InvalidDataException Broken(string why) => new($"The revocation feed cannot be applied: {why}");

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Revocation stream opened; {Count} subjects are denied")]
        public static partial void Opened(ILogger logger, int count);

        [LoggerMessage(Level = LogLevel.Error, Message = "The deny table is full ({Count} subjects): every token is asked about")]
        public static partial void Overflowed(ILogger logger, int count);

        [LoggerMessage(Level = LogLevel.Critical, Message = "This machine's clock is {Seconds:0} s {Where} the server's, so every call is refused")]
        public static partial void ClockOff(ILogger logger, double seconds, string where);

        [LoggerMessage(Level = LogLevel.Information, Message = "A poll of the revocation feed was cut off and is sent again: {Reason}")]
        public static partial void Cut(ILogger logger, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The revocation feed was interrupted and is opened again: {Reason}")]
        public static partial void Interrupted(ILogger logger, string reason);
    }
}
