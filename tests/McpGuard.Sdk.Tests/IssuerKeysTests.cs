using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Logging.Abstractions;

namespace McpGuard.Sdk.Tests;

/// <summary>The issuer's keys against a server that is away, mistaken or behind.</summary>
public sealed class IssuerKeysTests : IDisposable
{
    private readonly ManualTime time = new();
    private readonly SigningKey first = SigningKey.Create(), second = SigningKey.Create("RS256");
    private readonly IssuerKeys keys;
    private Func<Task<IReadOnlyList<VerificationKey>>> answer;
    private int asked;

    public IssuerKeysTests()
    {
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([first.Public]);
        keys = new IssuerKeys(_ =>
        {
            asked++;
            return answer();
        }, time, NullLogger<IssuerKeys>.Instance);
    }

    public void Dispose()
    {
        keys.Dispose();
        first.Dispose();
        second.Dispose();
    }

    [Theory]
    [Trait("Attack", "126")]
    [InlineData("away")]
    [InlineData("empty")]
    public async Task Server_NoKeysToBeHad_KnownOnesServeUntilTheirLimitAndThenNone(string how)
    {
        Assert.Equal(first.KeyId, await Found(first));
        answer = how == "away" ? () => throw new HttpRequestException("away") : () => Task.FromResult<IReadOnlyList<VerificationKey>>([]);

        time.Advance(IssuerKeys.Limit);
        await keys.Refresh(default);
        Assert.True(keys.Usable);
        Assert.Equal(first.KeyId, await Found(first));

        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.False(keys.Usable);
        Assert.Equal(IssuerKeys.Unavailable, await Found(first));
        Assert.Equal(IssuerKeys.Unavailable, await Found(second));
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([first.Public]);
        time.Advance(IssuerKeys.Pause);
        Assert.Equal(first.KeyId, await Found(first));
    }

    [Fact]
    public async Task Rotation_OnSchedule_IsNoticedWithoutAPauseInWhatIsTaken()
    {
        Assert.Equal(first.KeyId, await Found(first));
        // Published ahead: at hand when it begins to sign, without asking for it.
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([first.Public, second.Public]);
        time.Advance(keys.Due);
        await keys.Refresh(default);
        int before = asked;
        Assert.Equal((first.KeyId, second.KeyId), (await Found(first), await Found(second)));
        Assert.Equal(before, asked);

        bool removed = false;
        keys.Removed += () => removed = true;
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([second.Public]);
        time.Advance(keys.Due);
        await keys.Refresh(default);
        Assert.True(removed);
        Assert.Equal("unknown_key", await Found(first));
    }

    [Fact]
    public async Task Revoked_IsForgottenAtOnceAndStaysSoWhateverTheKeySetSays()
    {
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([first.Public, second.Public]);
        Assert.Equal(first.KeyId, await Found(first));
        Task lost = keys.Lost;
        int removed = 0;
        keys.Removed += () => removed++;

        keys.Revoke(first.KeyId);
        keys.Revoke(first.KeyId);

        Assert.True(lost.IsCompleted);
        Assert.Equal(1, removed);
        Assert.Equal(Names.Reasons.KeyRevoked, await Found(first));
        Assert.Equal(second.KeyId, await Found(second));
        // The server is asked soon, and soon again for as long as its key set has the key.
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(IssuerKeys.ShortPause, keys.Due);
            int before = asked;
            time.Advance(keys.Due);
            await keys.Refresh(default);
            Assert.Equal(before + 1, asked);
            Assert.Equal(Names.Reasons.KeyRevoked, await Found(first));
        }
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([second.Public]);
        time.Advance(keys.Due);
        await keys.Refresh(default);
        Assert.Equal(IssuerKeys.RefreshAfter, keys.Due);
    }

    [Fact]
    public async Task Revoked_WhileAKeySetWithItIsOnItsWay_IsNotTakenFromIt()
    {
        var arrives = new TaskCompletionSource<IReadOnlyList<VerificationKey>>();
        answer = () => arrives.Task;
        Task refresh = keys.Refresh(default);
        keys.Revoke(first.KeyId);
        arrives.SetResult([first.Public]);
        await refresh;

        Assert.Equal(Names.Reasons.KeyRevoked, await Found(first));
        // All there is was revoked: nothing can be verified, which is not the same as a wrong token.
        Assert.False(keys.Usable);
        Assert.Equal(IssuerKeys.Unavailable, await Found(second));
    }

    [Fact]
    public async Task Insisting_AsksAlsoWhenItWasAskedJustNow_OnlyForWhatIsNotKnown()
    {
        Assert.Equal(first.KeyId, await Found(first));
        Assert.Equal("unknown_key", await Found(second));
        int before = asked;
        answer = () => Task.FromResult<IReadOnlyList<VerificationKey>>([first.Public, second.Public]);
        Assert.Equal("unknown_key", await Found(second));
        Assert.Equal(before, asked);

        Assert.True((await keys.Find(second.KeyId, default, insist: true)).Ok);
        Assert.True((await keys.Find(second.KeyId, default, insist: true)).Ok);
        Assert.Equal(before + 1, asked);
    }

    /// <summary>The id of the key that was found, or the fault's code.</summary>
    private async Task<string?> Found(SigningKey key) => (await keys.Find(key.KeyId, default)).TryGet(out VerificationKey? found, out Fault? fault) ? found.KeyId : fault.Code;
}
