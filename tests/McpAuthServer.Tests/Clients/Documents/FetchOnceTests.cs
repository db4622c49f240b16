using System.Globalization;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Clients.Documents;

namespace McpAuthServer.Tests.Clients.Documents;

public sealed class FetchOnceTests
{
    private static readonly Uri Url = new("https://a.client.test/x");

    private readonly ManualTime time = new();
    private readonly List<(Uri Url, bool Known)> asked = [];
    private Func<Task<Result<(string, TimeSpan)>>> answer = () => Task.FromResult<Result<(string, TimeSpan)>>(("one", TimeSpan.FromMinutes(5)));

    private readonly FetchOnce<string> once;

    public FetchOnceTests() => once = new((url, known) =>
    {
        lock (asked)
            asked.Add((url, known));
        return answer();
    }, time);

    [Fact]
    public async Task Answer_WhileItIsFresh_IsNotAskedForAgain()
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("one", (await once.GetAsync(Url, false)).Value.Value);
            time.Advance(TimeSpan.FromSeconds(150));
        }
        Assert.Equal(2, asked.Count);
        await once.GetAsync(new Uri("https://a.client.test/y"), true);
        Assert.Equal([false, false, true], asked.Select(a => a.Known));
    }

    [Fact]
    public async Task Failure_IsNotAskedForAgainForAWhile_AndNeverPassesForAnAnswer()
    {
        answer = () => Task.FromResult<Result<(string, TimeSpan)>>(new Fault("no", "no"));
        Assert.Equal("no", (await once.GetAsync(Url, false)).Fault?.Code);
        time.Advance(FetchOnce<string>.BackOff - TimeSpan.FromMilliseconds(1));
        Assert.Equal("no", (await once.GetAsync(Url, false)).Fault?.Code);
        Assert.Single(asked);

        time.Advance(TimeSpan.FromMilliseconds(1));
        answer = () => Task.FromResult<Result<(string, TimeSpan)>>(("two", TimeSpan.FromMinutes(5)));
        Assert.Equal("two", (await once.GetAsync(Url, false)).Value.Value);
    }

    [Fact]
    public async Task Many_WhoAskAtOnce_ShareOneQuestion()
    {
        var gate = new TaskCompletionSource<Result<(string, TimeSpan)>>();
        answer = () => gate.Task;
        var waiting = Enumerable.Range(0, 50).Select(_ => once.GetAsync(Url, false)).ToList();
        gate.SetResult(("one", TimeSpan.FromMinutes(5)));

        Assert.All(await Task.WhenAll(waiting), r => Assert.Equal("one", r.Value.Value));
        Assert.Single(asked);
    }

    [Fact]
    public async Task Question_ThatThrows_IsAskedAgain()
    {
        answer = () => throw new InvalidOperationException("a bug");
        await Assert.ThrowsAsync<InvalidOperationException>(() => once.GetAsync(Url, false));
        answer = () => Task.FromResult<Result<(string, TimeSpan)>>(("two", TimeSpan.FromMinutes(5)));
        Assert.Equal("two", (await once.GetAsync(Url, false)).Value.Value);
    }

    [Fact]
    public async Task Answer_OlderThanAsked_IsAskedForAgain_ButNotOverAndOver()
    {
        await once.GetAsync(Url, false);
        for (var i = 0; i < 5; i++)
            await once.GetAsync(Url, false, time.GetUtcNow().AddSeconds(1));
        Assert.Single(asked);

        time.Advance(FetchOnce<string>.BackOff);
        for (var i = 0; i < 5; i++)
            await once.GetAsync(Url, false, time.GetUtcNow());
        Assert.Equal(2, asked.Count);
    }

    [Fact]
    public async Task Memory_OfManyAddresses_IsBounded()
    {
        for (var i = 0; i < 3 * FetchOnce<string>.Most; i++)
            await once.GetAsync(new Uri("https://a.client.test/" + i.ToString(CultureInfo.InvariantCulture)), false);

        Assert.InRange(once.Remembered, 1, FetchOnce<string>.Most);
    }
}
