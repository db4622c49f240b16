using McpAuth.Protocol;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>
/// One question to one person who is elsewhere (OpenID Connect CIBA Core, poll mode), made by
/// <see cref="AgentSession.AskPerson(string, string, System.Text.Json.JsonElement, string?, DateTimeOffset?, TimeSpan?, CancellationToken)"/>. It waits at the server, on the person's account page.
/// </summary>
public sealed class BackchannelRequest
{
    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(5), LongestPause = TimeSpan.FromMinutes(1);

    private readonly AgentSession session;
    private readonly string id, purpose;
    // CIBA §7.3: five seconds where the answer does not say.
    private TimeSpan interval;
    private Task<(AccessToken Token, TokenResponse Answer)>? poll;
    private int waiting, answered;

    internal BackchannelRequest(AgentSession session, BackchannelResponse answer, string purpose, DateTimeOffset asked)
    {
        if (string.IsNullOrEmpty(answer.RequestId) || answer.ExpiresIn <= 0) throw ServerConnection.Senseless("the question has no id, or is already over");
        (this.session, id, this.purpose, ExpiresAt) = (session, answer.RequestId, purpose, asked.AddSeconds(answer.ExpiresIn));
        interval = answer.Interval > 0 ? TimeSpan.FromSeconds(answer.Interval) : DefaultInterval;
    }

    /// <summary>Until when the person can answer.</summary>
    public DateTimeOffset ExpiresAt { get; }

    /// <summary>
    /// Waits for the person's answer and begins the task, with what they left of the request: see <see cref="AgentTask.View"/>. Asks the server as often as it wants to
    /// be asked, and less often while it cannot be reached. The question waits on when this is cancelled; then it can be called again.
    /// </summary>
    /// <param name="resumable">Whether another instance of this agent could go on with the task; see <see cref="AgentSession.ResumeTask"/>.</param>
    /// <exception cref="OAuthErrorException"><c>access_denied</c>: the person said no. <c>expired_token</c>: nobody answered in time. Both are final, and so is any other.</exception>
    /// <exception cref="InvalidOperationException">The question was answered before, or is being waited for.</exception>
    public async Task<AgentTask> BeginTask(bool resumable = false, CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref waiting, 1) == 1) throw new InvalidOperationException("This question is being waited for.");
        try
        {
            if (Volatile.Read(ref answered) == 1) throw new InvalidOperationException("This question was answered before.");
            AgentTask task = await new HandedWork(session).Redeem(() => Answer(cancellationToken), resumable ? purpose : null, cancellationToken);
            Volatile.Write(ref answered, 1);
            return task;
        }
        catch (OAuthErrorException e) when (!IsAway(e))
        {
            Volatile.Write(ref answered, 1);
            throw;
        }
        finally
        {
            Volatile.Write(ref waiting, 0);
        }
    }

    private async Task<(AccessToken, TokenResponse)> Answer(CancellationToken cancellationToken)
    {
        TimeProvider time = session.Attested.Server.Time;
        TimeSpan pause = interval;
        while (true)
        {
            // What came to nobody who waited is not asked for twice: it can be had once.
            if (poll is null) await Task.Delay(pause, time, cancellationToken);
            try
            {
                // Who no longer waits does not stop it: the answer may be on its way.
                poll ??= session.Tokens.Poll(id, CancellationToken.None);
                return await poll.WaitAsync(cancellationToken);
            }
            catch (OAuthErrorException e) when (e.Error == Names.Device.AuthorizationPending)
            {
                pause = interval;
            }
            catch (OAuthErrorException e) when (e.Error == Names.Errors.SlowDown)
            {
                // CIBA §11: by at least five seconds, this time and from then on.
                pause = interval += DefaultInterval;
            }
            catch (Exception e) when (IsAway(e) && time.GetUtcNow() < ExpiresAt)
            {
                // CIBA §10.1: less often, where the server does not answer.
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
            finally
            {
                if (poll is { IsCompleted: true, IsCompletedSuccessfully: false }) poll = null;
            }
        }
    }

    private static bool IsAway(Exception e) =>
        e is HttpRequestException { HttpRequestError: not HttpRequestError.InvalidResponse } or OAuthErrorException { Status: 429 or >= 500 };
}
